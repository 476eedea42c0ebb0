package servertest

import (
	"fmt"
	"strings"
	"testing"

	_ "gocloud.dev/blob/gcsblob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// startGCS starts a server for the test and gives a function that opens a store
// in a fresh bucket of it.
func startGCS(t *testing.T) (*Server, func(t *testing.T) archive.Store) {
	t.Helper()
	path, err := BuildGCS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := StartGCS(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(s.Endpoint, "http://"))
	n := 0
	return s, func(t *testing.T) archive.Store {
		n++
		name := fmt.Sprintf("bucket-%d", n)
		if err := makeGCSBucket(t.Context(), s.Endpoint, name); err != nil {
			t.Fatal(err)
		}
		return open(t, "gs://"+name+"/some/prefix?anonymous=true")
	}
}

func TestGCS(t *testing.T) {
	_, fresh := startGCS(t)
	archivetest.Run(t, fresh)
}

func TestNodeOnGCS(t *testing.T) {
	s, fresh := startGCS(t)
	wholeLife(t, s, s.Kill, fresh(t))
}
