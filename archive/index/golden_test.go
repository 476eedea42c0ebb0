package index_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Indexes of version 1 are read for ever, and the same bytes are made of a
// segment by every program: where a new version of a library changes them, that is
// a decision, since an index that was made twice would differ.
func TestGolden(t *testing.T) {
	segment, err := os.ReadFile("testdata/v1/segment.wal")
	if err != nil {
		t.Fatal(err)
	}
	object, err := os.ReadFile("testdata/v1/index.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want(t, segment), readAll(t, object)); diff != "" {
		t.Errorf("rows (-scan +golden):\n%s", diff)
	}
	if !bytes.Equal(object, encode(t, segment)) {
		t.Error("the index of the golden segment has other bytes now")
	}
}
