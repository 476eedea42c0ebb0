package wal

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each record is found again at the offset that the reader gave for it, and
// nothing is found where no frame begins or where one was changed.
func TestReadFrame(t *testing.T) {
	for name, b := range goldenFiles(t) {
		r := NewSegmentReader(bytes.NewReader(b), "x")
		p, err := r.Preamble()
		if err != nil {
			t.Fatalf("%v: %v", name, err)
		}
		begins := map[int64]bool{}
		for {
			want, err := r.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, ErrCorrupt) {
				break // the log's last segment has no footer yet
			}
			if err != nil {
				t.Fatalf("%v: %v", name, err)
			}
			at := r.FrameOffset()
			got, err := ReadFrame(bytes.NewReader(b[at:]), p, at, "x")
			if err != nil {
				t.Fatalf("%v: frame at %d: %v", name, at, err)
			}
			if diff := cmp.Diff(want, got[want.LSN-got[0].LSN]); diff != "" {
				t.Fatalf("%v: LSN %d (-reader +frame):\n%s", name, want.LSN, diff)
			}
			begins[at] = true
		}
		if len(begins) == 0 {
			t.Fatalf("%v: no record was read", name)
		}
		for at := int64(0); at <= int64(len(b)); at += 4 {
			_, err := ReadFrame(bytes.NewReader(b[at:]), p, at, "x")
			if !begins[at] && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v: no frame begins at %d: %v", name, at, err)
			}
		}
		for at := range begins {
			changed := bytes.Clone(b[at:])
			for i := range min(len(changed), 400) {
				changed[i] ^= 1
				_, err := ReadFrame(bytes.NewReader(changed), p, at, "x")
				if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
					t.Fatalf("%v: byte %d of the frame at %d: %v", name, i, at, err)
				}
				if i < frameHeaderLen && err == nil {
					t.Fatalf("%v: byte %d of the frame's header at %d may be anything", name, i, at)
				}
				changed[i] ^= 1
			}
		}
	}
}
