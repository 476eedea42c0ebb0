package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/nodedb-go/nodedb/wal"
)

func sampleSnapshot() *snapshot {
	s := &snapshot{bounds: map[string]*SegmentBounds{}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	s.epochs = []EpochInfo{{Version: 1, NodeID: "n", Epoch: 1, Timeline: 1, FirstLSN: 1, Incarnation: strings.Repeat("ab", 16), ClaimedAt: at}}
	s.bases = []SnapshotBase{{Key: "base/00000001/0000000000000007-x/manifest.json", Low: 7, Time: at, VShards: 4, Files: 3, SealedBytes: 99}}
	for i := range 3 {
		k := SegmentKey{Timeline: 1, First: wal.LSN(10*i + 1), Last: wal.LSN(10*i + 10), Epoch: 1}.String()
		s.objects = append(s.objects, Object{Key: k, Size: int64(i), ModTime: at, Class: "GLACIER"})
		s.bounds[k] = &SegmentBounds{FirstTime: 1, LastTime: int64(i + 1), Points: []wal.Point{{Name: "p", LSN: 3, Time: 4}}}
	}
	s.SnapshotInfo = SnapshotInfo{Version: 1, NodeID: "n", Seq: 5, CreatedAt: at, Epochs: 1, Bases: 1, Objects: 3}
	return s
}

func TestSnapshotRoundTrip(t *testing.T) {
	want := sampleSnapshot()
	data, err := encodeSnapshot(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeSnapshot(bytes.NewReader(data), "n", 5)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(snapshot{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range len(data) {
		if _, err := decodeSnapshot(bytes.NewReader(data[:n]), "n", 5); err == nil {
			t.Fatalf("cut at %d of %d bytes: no error", n, len(data))
		}
	}
}

// lines packs text as a snapshot.
func lines(t testing.TB, text string) []byte {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zeroes is a source without an end.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Snapshots that lie are refused, and do not fill the memory: a head that claims
// millions of names, a line without an end, a bomb.
func TestHostileSnapshot(t *testing.T) {
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(z, zeroes{}, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const head = `{"version":1,"node_id":"n","seq":5,"epochs":0,"bases":0,"objects":%d}` + "\n"
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"bomb":          {bomb.Bytes(), "longer than"},
		"many names":    {lines(t, fmt.Sprintf(head, 8<<20)), "EOF"},
		"too many":      {lines(t, fmt.Sprintf(head, 8<<20+1)), "claims"},
		"negative":      {lines(t, fmt.Sprintf(head, -1)), "claims"},
		"later version": {lines(t, `{"version":2,"node_id":"n","seq":5}`+"\n"), "version 2"},
		"no version":    {lines(t, `{"node_id":"n","seq":5}`+"\n"), "no version"},
		"other node":    {lines(t, `{"version":1,"node_id":"m","seq":5}`+"\n"), `node "m"`},
		"other number":  {lines(t, `{"version":1,"node_id":"n","seq":6}`+"\n"), "snapshot 6"},
		"out of order":  {lines(t, fmt.Sprintf(head, 2)+`{"k":"b"}`+"\n"+`{"k":"a"}`+"\n"), `object "a"`},
		"negative size": {lines(t, fmt.Sprintf(head, 1)+`{"k":"b","n":-1}`+"\n"), "-1 bytes"},
		"wrong sum":     {lines(t, fmt.Sprintf(head, 0)+`{"crc32c":"00000000"}`+"\n"), "checksum"},
		"no sum":        {lines(t, fmt.Sprintf(head, 0)), "checksum"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeSnapshot(bytes.NewReader(c.data), "n", 5)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", name, used>>20)
		}
		if name == "later version" && !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An endless listing is cut off, with the name at which it was; names that are
// not ours are not all remembered.
func TestEndlessListing(t *testing.T) {
	defer func(n, f int) { catalogNamesMax, foreignMax = n, f }(catalogNamesMax, foreignMax)
	catalogNamesMax, foreignMax = 500, 10
	s := &endless{}
	a, err := Open(s, "n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Catalog(t.Context())
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "nodedb/v1/n/wal/00000001/") || s.given > 600 {
		t.Errorf("after %d names: %v", s.given, err)
	}
	s = &endless{foreign: 5000}
	if a, err = Open(s, "n"); err != nil {
		t.Fatal(err)
	}
	c, err := a.Catalog(t.Context())
	if err != nil || len(c.Foreign) != 10 || c.ForeignMore != 4990 {
		t.Errorf("%v: %d and %d foreign names", err, len(c.Foreign), c.ForeignMore)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	good, err := encodeSnapshot(sampleSnapshot())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(lines(f, `{"version":1,"node_id":"n","seq":5,"objects":9}`+"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeSnapshot(bytes.NewReader(data), "n", 5)
		if err != nil {
			return
		}
		again, err := encodeSnapshot(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeSnapshot(bytes.NewReader(again), "n", 5); err != nil {
			t.Fatalf("does not read what it wrote: %v", err)
		}
	})
}
