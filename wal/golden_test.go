package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// goldenLog writes the log whose bytes are frozen in testdata/v1: two sealed
// segments, one that a crash left open, every kind of record.
func goldenLog(t testing.TB) (files, string) {
	t.Helper()
	fs := vfs.NewMem()
	now := time.UnixMicro(1_700_000_000_000_000)
	l, err := Open("wal", &Options{
		FS: fs, NodeID: "golden", Timeline: 2, Epoch: 5, FirstLSN: 100, SegmentAge: -1,
		Rand: rand.NewChaCha8([32]byte{42}), SegmentBytes: 64 << 10,
		Clock: func() time.Time { now = now.Add(1500 * time.Microsecond); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	digest := Digest{LSN: 101, Entries: 3}
	copy(digest.Sum[:], bytes.Repeat([]byte{0xAB}, 32))
	for i, group := range [][]Record{
		{{Type: TypeOpen, VShard: VShardNone, Payload: Opened{"v1", "host"}.Append(nil)}},
		{{Type: 64 | RequiredBit, Tenant: 7, VShard: 3, Idem: []byte("request-1"), Payload: []byte("first")},
			{Type: 65 | RequiredBit, Tenant: 0xFFFFFFFF, VShard: 4, Payload: []byte{}}},
		{{Type: TypeRestorePoint, VShard: VShardNone, Payload: RestorePoint{"before the change"}.Append(nil)}},
		{{Type: TypeDigest, VShard: VShardNone, Payload: digest.Append(nil)}, {Type: TypeNoop, VShard: VShardNone}},
		{{Type: 99, Tenant: 1, VShard: 0, Idem: bytes.Repeat([]byte("i"), 255), Payload: bytes.Repeat([]byte("long "), 99)}},
		{{Type: TypeCheckpoint, VShard: VShardNone, Payload: Checkpoint{104}.Append(nil)}},
	} {
		var b Batch
		for _, r := range group {
			if err := b.Add(r.Type, r.Tenant, r.VShard, r.Idem, r.Payload); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := l.AppendSync(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if i == 2 || i == 3 {
			if _, _, err := l.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := readFiles(t, fs, l.Segments())
	transcript := transcribe(t, f)
	closeLog(t, l)
	return f, transcript
}

// transcribe writes down all that is in the files, in words.
func transcribe(t testing.TB, f files) string {
	t.Helper()
	var out strings.Builder
	for first := LSN(1); first < 200; first++ {
		data, ok := f[SegmentName(first)]
		if !ok {
			continue
		}
		r := NewSegmentReader(bytes.NewReader(data), SegmentName(first))
		p, err := r.Preamble()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "segment %s node %q timeline %d epoch %d created %d floor %d salt %016x prev %x\n",
			SegmentName(p.First), p.NodeID, p.Timeline, p.Epoch, p.Created, p.TimeFloor, p.Salt, p.Prev)
		for err == nil {
			var rec Record
			if rec, err = r.Next(); err == nil {
				fmt.Fprintf(&out, "  %d at %d: %s tenant %d vshard %d key %q payload %q\n",
					rec.LSN, rec.Time, rec.Type, rec.Tenant, rec.VShard, rec.Idem, rec.Payload)
			}
		}
		if f, ok := r.Footer(); ok && errors.Is(err, io.EOF) {
			fmt.Fprintf(&out, "  sealed: %d to %d, %d records, %d to %d, points %v, sum %x\n",
				f.First, f.Last, f.Records, f.FirstTime, f.LastTime, f.Points, f.Sum)
		} else {
			fmt.Fprintf(&out, "  %v\n", err)
		}
	}
	return out.String()
}

func goldenFiles(t testing.TB) files {
	t.Helper()
	f := files{}
	paths, err := filepath.Glob("testdata/v1/*.wal")
	if err != nil || len(paths) != 3 {
		t.Fatalf("golden files %v, %v", paths, err)
	}
	for _, path := range paths {
		if f[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// The bytes of version 1 are frozen: what was written once is read the same for
// ever. When this test fails the format was changed; that takes a new version.
func TestGoldenRead(t *testing.T) {
	want, err := os.ReadFile("testdata/v1/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	f := goldenFiles(t)
	if diff := cmp.Diff(string(want), transcribe(t, f)); diff != "" {
		t.Errorf("golden files (-frozen +read):\n%s", diff)
	}
	l := open(t, f.fs(t), &Options{NodeID: "golden"})
	if got := payloads(t, l, 100); len(got) != 8 || got[1] != "first" {
		t.Errorf("payloads %q", got)
	}
	closeLog(t, l)
}

// And it is still written the same.
func TestGoldenWrite(t *testing.T) {
	written, _ := goldenLog(t)
	if diff := cmp.Diff(goldenFiles(t), written); diff != "" {
		t.Errorf("golden files (-frozen +written):\n%s", diff)
	}
}
