package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/wal"
)

// catalogBegin is the time of LSN 1; every LSN is a second later than the one
// before, in all histories below.
var catalogBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func timeOf(lsn wal.LSN) time.Time { return catalogBegin.Add(time.Duration(lsn-1) * time.Second) }

// catalogRig writes archives from real segments.
type catalogRig struct {
	t     *testing.T
	store archive.Store
}

func newCatalogRig(t *testing.T) *catalogRig {
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &catalogRig{t: t, store: s}
}

func (r *catalogRig) put(key string, data []byte) {
	r.t.Helper()
	if err := r.store.Create(r.t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		r.t.Fatal(err)
	}
}

// epoch claims by hand, so that a test says which epoch began where.
func (r *catalogRig) epoch(e wal.Epoch, tl, parent wal.Timeline, fork, first wal.LSN) {
	r.t.Helper()
	r.put(archive.Join(nodeID, archive.EpochKey{Epoch: e}), fmt.Appendf(nil,
		`{"version":1,"node_id":%q,"epoch":%d,"timeline":%d,"parent_timeline":%d,"fork_lsn":%d,"first_lsn":%d,"incarnation":"%032x","claimed_at":"2026-03-01T12:00:00Z"}`,
		nodeID, e, tl, parent, fork, first, e))
}

// segments writes a WAL of the given epoch whose segments end at the given
// LSNs, and archives them. The LSNs of points become restore points.
func (r *catalogRig) segments(tl wal.Timeline, e wal.Epoch, first wal.LSN, points map[wal.LSN]string, ends ...wal.LSN) {
	r.t.Helper()
	fs, now := vfs.NewMem(), timeOf(first)
	l, err := wal.Open("wal", &wal.Options{FS: fs, NodeID: nodeID, FirstLSN: first, SegmentAge: -1, Clock: func() time.Time { return now }})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := l.Start(tl, e); err != nil {
		r.t.Fatal(err)
	}
	lsn := first
	for _, end := range ends {
		for ; lsn <= end; lsn++ {
			var b wal.Batch
			typ, payload := wal.TypeNoop, bytes.Repeat([]byte{byte(lsn)}, 3000)
			if name, ok := points[lsn]; ok {
				typ, payload = wal.TypeRestorePoint, wal.RestorePoint{Name: name}.Append(nil)
			}
			if err := b.Add(typ, 0, wal.VShardNone, nil, payload); err != nil {
				r.t.Fatal(err)
			}
			now = timeOf(lsn)
			if got, _, err := l.AppendSync(r.t.Context(), &b); err != nil || got != lsn {
				r.t.Fatalf("appended LSN %d, want %d: %v", got, lsn, err)
			}
		}
		s, ok, err := l.Seal(r.t.Context())
		if err != nil || !ok {
			r.t.Fatalf("seal: %v, %v", ok, err)
		}
		r.put(r.key(s), r.sealed(fs, s))
	}
	if err := l.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *catalogRig) key(s wal.Segment) string {
	return archive.Join(nodeID, archive.SegmentKey{Timeline: s.Timeline, First: s.First, Last: s.Last, Epoch: s.Epoch, SHA16: archive.Short(s.SHA256)})
}

func (r *catalogRig) sealed(fs vfs.FS, s wal.Segment) []byte {
	r.t.Helper()
	f, err := fs.Open(s.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	var out bytes.Buffer
	info, err := archive.Seal(&out, io.LimitReader(f, s.Bytes))
	if err != nil || info.SHA256 != s.SHA256 {
		r.t.Fatalf("seal: %v, SHA-256 %x, want %x", err, info.SHA256, s.SHA256)
	}
	if err := f.Close(); err != nil {
		r.t.Fatal(err)
	}
	return out.Bytes()
}

func (r *catalogRig) open() *archive.Archive { return openArchive(r.t, r.store) }

func openArchive(t *testing.T, s archive.Store) *archive.Archive {
	t.Helper()
	a, err := archive.Open(s, nodeID)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *catalogRig) catalog() *archive.Catalog {
	r.t.Helper()
	c, err := r.open().Catalog(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// span is a window without its objects; parts are how its segments share it.
type windowSpan struct {
	Timeline wal.Timeline
	From, To wal.LSN
	Parts    [][2]wal.LSN
}

func spansOf(windows []archive.Window) (out []windowSpan) {
	for _, w := range windows {
		s := windowSpan{Timeline: w.Timeline, From: w.From, To: w.To}
		for _, seg := range w.Segments {
			s.Parts = append(s.Parts, [2]wal.LSN{seg.From, seg.To})
		}
		out = append(out, s)
	}
	return out
}

func TestCatalogWindows(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(r *catalogRig)
		want  []windowSpan
	}{
		{"nothing", func(*catalogRig) {}, nil},
		{"one run", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.segments(1, 1, 1, nil, 3, 7, 8)
		}, []windowSpan{{1, 1, 8, [][2]wal.LSN{{1, 3}, {4, 7}, {8, 8}}}}},
		{"a hole", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.segments(1, 1, 1, nil, 3)
			r.segments(1, 1, 6, nil, 9)
		}, []windowSpan{{1, 1, 3, [][2]wal.LSN{{1, 3}}}, {1, 6, 9, [][2]wal.LSN{{6, 9}}}}},
		// Law 8: what a fenced epoch archived from the later one's first LSN
		// on is no history, even where the later one has not come yet.
		{"fenced epoch", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.epoch(2, 1, 0, 0, 6)
			r.segments(1, 1, 1, nil, 3, 8, 10)
			r.segments(1, 2, 6, nil, 6, 7)
		}, []windowSpan{{1, 1, 7, [][2]wal.LSN{{1, 3}, {4, 5}, {6, 6}, {7, 7}}}}},
		{"fenced and nothing after", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.epoch(2, 1, 0, 0, 6)
			r.segments(1, 1, 1, nil, 3, 8)
		}, []windowSpan{{1, 1, 5, [][2]wal.LSN{{1, 3}, {4, 5}}}}},
		// An epoch of another timeline fences nothing here.
		{"two timelines", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.epoch(2, 2, 1, 4, 11)
			r.segments(1, 1, 1, nil, 5, 10)
			r.segments(2, 2, 11, nil, 12)
		}, []windowSpan{{1, 1, 10, [][2]wal.LSN{{1, 5}, {6, 10}}}, {2, 11, 12, [][2]wal.LSN{{11, 12}}}}},
		// A writer that came back archived again what was there, cut elsewhere.
		{"overlap", func(r *catalogRig) {
			r.epoch(1, 1, 0, 0, 1)
			r.segments(1, 1, 1, nil, 4)
			r.segments(1, 1, 3, nil, 9)
			r.segments(1, 1, 5, nil, 6)
		}, []windowSpan{{1, 1, 9, [][2]wal.LSN{{1, 4}, {5, 9}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newCatalogRig(t)
			c.build(r)
			if diff := cmp.Diff(c.want, spansOf(r.catalog().Windows())); diff != "" {
				t.Errorf("Windows (-want +got):\n%s", diff)
			}
		})
	}
}

// Everything below the prefix is told apart by its name, obj/ costs no page,
// and what is not ours is reported and left alone.
func TestCatalogKinds(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.segments(1, 1, 1, nil, 3)
	prefix := archive.NodePrefix(nodeID)
	for _, k := range []archive.Key{
		archive.FormatKey{}, archive.BaseKey{Timeline: 1, LSN: 2, ID: "b"}, archive.GapKey{Timeline: 1, First: 4, Last: 9},
		archive.PinKey{Name: "p"}, archive.IndexKey{Timeline: 1, First: 1, Last: 3}, archive.MergedKey{Timeline: 1, First: 1, Last: 9}, archive.CatalogKey{Timeline: 1, Seq: 1},
		archive.ObjKey{SHA256: [32]byte{1}, Zstd: true}, archive.ObjKey{SHA256: [32]byte{2}},
	} {
		r.put(prefix+k.String(), []byte("x"))
	}
	for _, foreign := range []string{"README", "wal/00000001/readme.txt", "base/00000001/0000000000000002-b/stray", "zzz"} {
		r.put(prefix+foreign, []byte("foreign"))
	}
	r.put(archive.NodePrefix("n0")+"format.json", []byte("x"))
	r.put(archive.NodePrefix("n10")+"format.json", []byte("x"))
	r.put("elsewhere", []byte("x"))
	c := r.catalog()
	type counts struct{ Epochs, Segments, Bases, Gaps, Pins, Indexes, Merged, Catalogs, Problems int }
	got := counts{len(c.Epochs), len(c.Segments), len(c.Bases), len(c.Gaps), len(c.Pins), len(c.Indexes), len(c.Merged), len(c.Catalogs), len(c.Problems)}
	if diff := cmp.Diff(counts{1, 1, 1, 1, 1, 1, 1, 1, 0}, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	var foreign []string
	for _, o := range c.Foreign {
		foreign = append(foreign, o.Key[len(prefix):])
	}
	if diff := cmp.Diff([]string{"README", "base/00000001/0000000000000002-b/stray", "wal/00000001/readme.txt", "zzz"}, foreign); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
	if c.LSNMax() != 9 {
		t.Errorf("LSNMax = %d, want the gap's end 9 (law 9)", c.LSNMax())
	}
	objs := 0
	if err := r.open().Objects(t.Context(), func(archive.ObjEntry) error { objs++; return nil }); err != nil || objs != 2 {
		t.Errorf("Objects: %d, %v; want 2", objs, err)
	}
	ids, err := archive.Nodes(t.Context(), r.store)
	if diff := cmp.Diff([]string{"n0", "n1", "n10"}, ids); err != nil || diff != "" {
		t.Errorf("Nodes: %v (-want +got):\n%s", err, diff)
	}
}

// A damaged or newer epoch object does not hide the rest; an unreachable one
// is no answer at all.
func TestCatalogProblems(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.put(archive.Join(nodeID, archive.EpochKey{Epoch: 2}), []byte("{garbage"))
	r.put(archive.Join(nodeID, archive.EpochKey{Epoch: 3}), []byte(`{"version":999}`))
	r.segments(1, 1, 1, nil, 3)
	c := r.catalog()
	if len(c.Problems) != 2 || !errors.Is(c.Problems[0], archive.ErrCorrupt) || !errors.Is(c.Problems[1], archive.ErrVersion) {
		t.Errorf("Problems = %v, want one damaged and one newer", c.Problems)
	}
	if len(c.Epochs) != 1 || len(c.Segments) != 1 {
		t.Errorf("%d epochs and %d segments, want 1 and 1", len(c.Epochs), len(c.Segments))
	}
	for _, op := range []archivetest.Op{archivetest.OpList, archivetest.OpRead} {
		f := archivetest.NewFaulty(r.store, archivetest.Always(archivetest.Fail, op))
		if _, err := openArchive(t, f).Catalog(t.Context()); !errors.Is(err, archive.ErrUnreachable) {
			t.Errorf("Catalog with a failing %s: %v, want ErrUnreachable", op, err)
		}
	}
	if _, err := archive.Open(r.store, "../x"); !errors.Is(err, archive.ErrBadNodeID) {
		t.Errorf("Open: %v, want ErrBadNodeID", err)
	}
}

// Restore(L) needs times exactly: every second around every border.
func TestFindTime(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.epoch(2, 1, 0, 0, 26)
	var ends []wal.LSN
	for e := wal.LSN(3); e <= 30; e += 3 {
		ends = append(ends, e)
	}
	r.segments(1, 1, 1, nil, ends...) // 26 to 30 are dead
	r.segments(1, 2, 26, nil, 27, 40)
	a, windows := r.open(), r.catalog().Windows()
	if len(windows) != 1 || windows[0].To != 40 {
		t.Fatalf("windows %+v", spansOf(windows))
	}
	for lsn := wal.LSN(1); lsn <= 40; lsn++ {
		for _, d := range []time.Duration{0, time.Microsecond, time.Second - time.Microsecond} {
			at := timeOf(lsn).Add(d)
			got, when, err := a.FindTime(t.Context(), windows[0], at)
			if err != nil || got != lsn || !when.Equal(timeOf(lsn)) {
				t.Fatalf("FindTime(%v) = LSN %d at %v, %v; want LSN %d at %v", at, got, when, err, lsn, timeOf(lsn))
			}
		}
	}
	if got, _, err := a.FindTime(t.Context(), windows[0], catalogBegin.Add(time.Hour)); err != nil || got != 40 {
		t.Errorf("after the end: LSN %d, %v; want 40", got, err)
	}
	if _, _, err := a.FindTime(t.Context(), windows[0], catalogBegin.Add(-time.Microsecond)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("before the beginning: %v, want ErrNotFound", err)
	}
}

// The search reads ends of segments, not segments.
func TestFindTimeReadsLittle(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	var ends []wal.LSN
	for e := wal.LSN(1); e <= 64; e++ {
		ends = append(ends, e)
	}
	r.segments(1, 1, 1, nil, ends...)
	s := &countingStore{Store: r.store}
	w := r.catalog().Windows()[0]
	if lsn, _, err := openArchive(t, s).FindTime(t.Context(), w, timeOf(40)); err != nil || lsn != 40 {
		t.Fatalf("FindTime: LSN %d, %v", lsn, err)
	}
	if requests := 2 * int(math.Log2(64)+1); s.reads > requests {
		t.Errorf("%d requests for one of 64 segments, want at most %d", s.reads, requests)
	}
}

func TestPoints(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.epoch(2, 1, 0, 0, 8)
	r.epoch(3, 2, 1, 5, 20)
	r.segments(1, 1, 1, map[wal.LSN]string{2: "a", 5: "b", 9: "dead"}, 3, 6, 10)
	r.segments(1, 2, 8, map[wal.LSN]string{9: "b"}, 12)
	r.segments(2, 3, 20, map[wal.LSN]string{20: "a"}, 21)
	a, windows := r.open(), r.catalog().Windows()
	type found struct {
		Timeline wal.Timeline
		LSN      wal.LSN
		Name     string
	}
	for name, want := range map[string][]found{
		"":     {{1, 2, "a"}, {1, 5, "b"}, {1, 9, "b"}, {2, 20, "a"}},
		"a":    {{1, 2, "a"}, {2, 20, "a"}},
		"dead": nil,
		"none": nil,
	} {
		points, err := a.Points(t.Context(), windows, name)
		if err != nil {
			t.Fatal(err)
		}
		var got []found
		for _, p := range points {
			got = append(got, found{p.Timeline, p.LSN, p.Name})
			if p.Time != timeOf(p.LSN).UnixMicro() {
				t.Errorf("point %s is at %d, want the time of LSN %d", p.Name, p.Time, p.LSN)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Points(%q) (-want +got):\n%s", name, diff)
		}
	}
	f := archivetest.NewFaulty(r.store, archivetest.Seeded(1, 0.3, archivetest.Fail))
	if _, err := openArchive(t, f).Points(t.Context(), windows, ""); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("Points of a failing store: %v, want ErrUnreachable", err)
	}
}

// One object under another's name, damaged ends, a hung store.
func TestSegmentInfoFaults(t *testing.T) {
	r := newCatalogRig(t)
	r.epoch(1, 1, 0, 0, 1)
	r.segments(1, 1, 1, nil, 3, 6)
	segs := r.catalog().Segments
	good, err := r.open().SegmentInfo(t.Context(), segs[0])
	if err != nil || good.Footer.Last != 3 || good.Preamble.First != 1 || good.Footer.FirstTime != timeOf(1).UnixMicro() {
		t.Fatalf("SegmentInfo = %+v, %v", good, err)
	}
	swapped := segs[0]
	swapped.Object = segs[1].Object
	if _, err := r.open().SegmentInfo(t.Context(), swapped); !errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("another's bytes: %v, want ErrCorrupt", err)
	}
	for _, fault := range []archivetest.Fault{archivetest.Truncated, archivetest.Flipped} {
		f := archivetest.NewFaulty(r.store, archivetest.Always(fault))
		var oe *archive.ObjectError
		if got, err := openArchive(t, f).SegmentInfo(t.Context(), segs[0]); !errors.As(err, &oe) || oe.Key != segs[0].Object.Key {
			t.Errorf("%v: %+v, %v; want an ObjectError that names the object", fault, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := archivetest.NewFaulty(r.store, func(archivetest.Op, string, int) archivetest.Fault { cancel(); return archivetest.Hang })
	if _, err := openArchive(t, f).SegmentInfo(ctx, segs[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("hung store: %v, want Canceled", err)
	}
}
