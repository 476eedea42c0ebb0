package archive

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/wal"
)

var goldenTime = time.Date(2026, 3, 1, 9, 41, 7, 0, time.UTC)

// goldens are the small objects of version 1. Their files under testdata are
// frozen: archives in the field hold them.
func goldens() map[string]any {
	return map[string]any{
		"epoch.json": &EpochInfo{Version: 1, NodeID: "n1", Epoch: 3, Timeline: 2, ParentTimeline: 1, ForkLSN: 80, FirstLSN: 200,
			Incarnation: "00112233445566778899aabbccddeeff", Host: "h", ClaimedAt: goldenTime},
		"gap.json": &GapInfo{Version: 1, NodeID: "n1", Timeline: 2, First: 5, Last: 9, Epoch: 3, Reason: "shed", DeclaredAt: goldenTime},
		"pin.json": &PinInfo{Version: 1, NodeID: "n1", Name: "audit", Timeline: 2, LSN: 7, Reason: "audit", CreatedAt: goldenTime},
		"proof.json": &ProofInfo{Version: 1, NodeID: "n1", ID: "a1", Target: "latest", Seed: 7, Timeline: 2, LSN: 100, Time: goldenTime,
			Verdict: VerdictEqual, Digest: strings.Repeat("ab", 32), Entries: 7, Published: strings.Repeat("ab", 32), Sources: []string{"base"},
			BaseLSN: 90, Segments: 3, Records: 10, Bytes: 4000, Seconds: 1.5, Stores: []string{"mem://"}, Tool: "pitr-restore 1", Host: "h", StartedAt: goldenTime},
		"begun.json": &BaseBegun{Version: 1, NodeID: "n1", Epoch: 3, BegunAt: goldenTime},
		"prune.json": &PruneRecord{Version: 1, NodeID: "n1", Seq: 7, Kind: PruneSweep, ID: "00112233445566778899aabbccddeeff", Host: "h", At: goldenTime, Policy: "keep the last 3",
			Objects: []PruneObject{{Key: "pin/audit.json", Bytes: 9, Stored: goldenTime, MD5: strings.Repeat("ef", 16), Reason: "expired"}}, Voided: []string{"pin/b.json"}},
		"manifest.json": &Manifest{Version: 1, NodeID: "n1", ID: "0123456789abcdef", Timeline: 2, Epoch: 3, LSN: 100, Time: goldenTime,
			Digest: strings.Repeat("ab", 32), Entries: 7, CreatedAt: goldenTime,
			VShards: []ManifestVShard{{ID: 0, Applied: 90, Files: []ManifestFile{{Name: "000004.sst", Bytes: 3000,
				SHA256: strings.Repeat("cd", 32), SealedBytes: 2000, SealedMD5: strings.Repeat("ef", 16)}}}}},
	}
}

func decodeGolden(name string, data []byte) (any, error) {
	switch name {
	case "epoch.json":
		e, err := decodeEpoch(data, "n1", 3)
		return &e, err
	case "gap.json":
		g, err := decodeGap(data, "n1", GapKey{Timeline: 2, First: 5, Last: 9})
		return &g, err
	case "begun.json":
		b, err := decodeBegun(data, "n1")
		return &b, err
	case "prune.json":
		r, err := decodePrune(data, "n1", 7)
		return &r, err
	case "pin.json":
		p, err := decodePin(data, "n1", "audit")
		return &p, err
	case "proof.json":
		p, err := decodeProof(data, "n1", ProofKey{Timeline: 2, LSN: 100, ID: "a1"})
		return &p, err
	}
	return decodeManifest(data, "n1", BaseKey{Timeline: 2, LSN: 100, ID: "0123456789abcdef"})
}

func TestGoldenObjects(t *testing.T) {
	for name, want := range goldens() {
		path := filepath.Join("testdata", "v1", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeGolden(name, data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		back, err := encodeJSON(got)
		if err != nil || !bytes.Equal(back, data) {
			t.Errorf("%s is written differently now:\n%s", name, back)
		}
	}
}

// FuzzObjects: no input panics a decoder, and what one accepts it writes back
// so that it is read as the same.
func FuzzObjects(f *testing.F) {
	names := []string{"epoch.json", "gap.json", "pin.json", "manifest.json", "proof.json", "begun.json", "prune.json"}
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", "v1", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		name := names[int(kind)%len(names)]
		v, err := decodeGolden(name, data)
		if err != nil {
			return
		}
		back, err := encodeJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeGolden(name, back)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzLines: whatever bytes a local line file holds, reading them neither
// panics nor invents lines, and good lines before damage are kept.
func FuzzLines(f *testing.F) {
	good := appendLine(nil, journalLine{Kind: lineVerified, Store: "mem:", Timeline: 1, First: 1, Last: 2, Key: "k"})
	f.Add([]byte{})
	f.Add(good)
	f.Add(append(bytes.Clone(good), good[:20]...))
	f.Add(append(append(bytes.Clone(good), "junk\n"...), good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var lines []journalLine
		end, _ := readLines(data, func(l journalLine) { lines = append(lines, l) })
		if end > int64(len(data)) {
			t.Fatalf("end %d of %d bytes", end, len(data))
		}
		var back []byte
		for _, l := range lines {
			back = appendLine(back, l)
		}
		var again []journalLine
		if _, bad := readLines(back, func(l journalLine) { again = append(again, l) }); bad != 0 {
			t.Fatalf("%d bad lines in what was written", bad)
		}
		if diff := cmp.Diff(lines, again); diff != "" {
			t.Error(diff)
		}
		kept := 0
		readLines(append(bytes.Clone(good), data...), func(journalLine) { kept++ })
		if kept == 0 {
			t.Error("the good line before the damage is lost")
		}
	})
}

func TestMissing(t *testing.T) {
	seg := func(first, last wal.LSN) span { return span{first: first, last: last} }
	tests := []struct {
		name  string
		spans []span
		upTo  wal.LSN
		known bool
		from  wal.LSN
		want  []gap
	}{
		{name: "new store", from: 500},
		{name: "new node", from: 0},
		{name: "whole", spans: []span{seg(1, 10), seg(11, 20)}, from: 20},
		{name: "end missing", spans: []span{seg(1, 10)}, from: 20, want: []gap{{11, 20}}},
		{name: "middle missing", spans: []span{seg(1, 10), seg(15, 20)}, from: 20, want: []gap{{11, 14}}},
		{name: "known, nothing after", upTo: 7, known: true, from: 20, want: []gap{{8, 20}}},
		{name: "known, then a hole", upTo: 7, known: true, spans: []span{seg(10, 20)}, from: 20, want: []gap{{8, 9}}},
		{name: "overlapping", spans: []span{seg(1, 12), seg(5, 9), seg(11, 20)}, from: 20},
		{name: "later ones do not count", spans: []span{seg(1, 10), seg(30, 40)}, from: 20, want: []gap{{11, 20}}},
	}
	for _, tt := range tests {
		got := missing(tt.spans, tt.upTo, tt.known, tt.from)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(gap{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A full disk does not stop the journal: new lines fit into what it holds.
func TestJournalWritesIntoItsRoom(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(fs, "a", 1, discard)
	size := func() int64 {
		st, err := fs.Stat("a/" + journalName)
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	before := size()
	for i := range wal.LSN(400) {
		if err := j.add(journalLine{Kind: lineShed, Store: "mem:", First: i, Last: i + 1}, i%50 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := size(); got != before {
		t.Errorf("journal grew from %d to %d bytes", before, got)
	}
	j.close()
	again := openJournal(fs, "a", 1, discard)
	defer again.close()
	if diff := cmp.Diff(j.entries, again.entries, cmp.AllowUnexported(journalID{})); diff != "" {
		t.Error(diff)
	}
}

// The journal does not grow with the life of the node: what an archived mark
// covers is dropped, and the mark survives.
func TestJournalIsBounded(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(fs, "a", 1, discard)
	defer j.close()
	const segments = 5000
	for i := wal.LSN(1); i <= segments; i++ {
		for _, kind := range []string{lineUploading, lineUploaded, lineVerified, lineArchived} {
			_ = j.add(journalLine{Kind: kind, Store: "mem:", First: i, Last: i, Key: strings.Repeat("k", 80)}, false)
		}
	}
	st, err := fs.Stat("a/" + journalName)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() > 2*journalRoom || len(j.entries) > 2000 {
		t.Errorf("journal has %d bytes and %d entries after %d segments", st.Size(), len(j.entries), segments)
	}
	again := openJournal(fs, "a", 1, discard)
	defer again.close()
	if upTo, ok := again.archivedUpTo("mem:"); !ok || upTo != segments {
		t.Errorf("archived mark %d, %v", upTo, ok)
	}
}

func TestChunks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 3*chunkBytes+17)
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	var c chunks
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1+rnd.IntN(chunkBytes))
		_, _ = c.Write(rest[:n])
		rest = rest[n:]
	}
	defer c.free()
	for range 100 {
		off, n := rnd.IntN(len(want)), rnd.IntN(2*chunkBytes)
		got := make([]byte, n)
		k, err := c.ReadAt(got, int64(off))
		if !bytes.Equal(got[:k], want[off:min(off+n, len(want))]) || (err == nil) != (off+n <= len(want)) {
			t.Fatalf("ReadAt(%d bytes at %d) = %d, %v", n, off, k, err)
		}
	}
}

func TestBudget(t *testing.T) {
	b := newBudget(10)
	small, _ := b.acquire(t.Context(), 4)
	big := make(chan int64)
	go func() {
		n, _ := b.acquire(t.Context(), 1000) // more than there is: all of it, alone
		big <- n
	}()
	b.release(small)
	if n := <-big; n != 10 {
		t.Errorf("took %d of 10", n)
	}
	if b.used != 10 {
		t.Errorf("used = %d", b.used)
	}
	b.release(10)
	if b.used != 0 {
		t.Errorf("used = %d after all was released", b.used)
	}
}

var discard = slog.New(slog.DiscardHandler)
