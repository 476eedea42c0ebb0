package archive_test

import (
	"testing"

	_ "gocloud.dev/blob/memblob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

func openFile(t *testing.T) archive.Store {
	s, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFileStore(t *testing.T) {
	archivetest.Run(t, openFile)
}

func TestMemStore(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store {
		s, _, err := archive.OpenStore(t.Context(), "mem://")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

// A prefix is invisible to whoever uses the store, and keeps stores apart.
func TestPrefix(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store {
		s, _, err := archive.OpenStore(t.Context(), "mem://bucket/some/prefix?prefix=more")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}
