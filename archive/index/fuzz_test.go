package index_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
)

// An object under an index's name may be anything: a lookup finds or refuses, and
// does not panic.
func FuzzLookup(f *testing.F) {
	object, err := os.ReadFile("testdata/v1/index.parquet")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object, []byte("key001"), 0, byte(0))
	f.Add(object, []byte("key001"), len(object)-100, byte(1))
	f.Add(object[:len(object)/2], []byte("key001"), 4, byte(0x80))
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"), []byte{}, 0, byte(0))
	f.Fuzz(func(t *testing.T, object, key []byte, at int, flip byte) {
		s, _, err := archive.OpenStore(context.Background(), "mem://")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		a, err := archive.Open(s, nodeID)
		if err != nil {
			t.Fatal(err)
		}
		object = bytes.Clone(object)
		if at >= 0 && at < len(object) {
			object[at] ^= flip
		}
		k := archive.IndexKey{Timeline: 1, First: 1, Last: 2}
		if err := s.Create(context.Background(), a.Key(k), bytes.NewReader(object), int64(len(object))); err != nil {
			t.Fatal(err)
		}
		_, err = index.Lookup(context.Background(), a, archive.IndexEntry{IndexKey: k, Object: archive.Object{Size: int64(len(object))}}, 0, key)
		if err != nil && !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion) {
			t.Fatal(err)
		}
	})
}
