package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// Segments stay within their size, follow one another without a gap, and the
// descriptions that OnSeal and Segments give are what is in the files.
func TestRotateBySize(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	var sealed []Segment
	o := &Options{SegmentBytes: 16 << 10, NodeID: "n1", OnSeal: func(s Segment) { sealed = append(sealed, s) }}
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(3, 9); err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		put(t, l, fmt.Sprintf("%0*d", 50+i, i))
		if i%100 == 50 {
			point(t, l, fmt.Sprintf("point %d", i))
		}
	}
	listed := l.Segments()
	if !listed[len(listed)-1].Sealed {
		listed = listed[:len(listed)-1]
	}
	if diff := cmp.Diff(sealed, listed); diff != "" || len(sealed) < 5 {
		t.Fatalf("%d segments; sealed against listed:\n%s", len(sealed), diff)
	}
	closeLog(t, l)
	report := checkSegments(t, nil, dir)
	if diff := cmp.Diff(sealed, report.Segments); diff != "" {
		t.Errorf("sealed against verified:\n%s", diff)
	}
	var points []Point
	next := LSN(1)
	for _, s := range sealed {
		info, err := os.Stat(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != s.Bytes || s.Bytes > 16<<10 || s.First != next || s.Timeline != 3 || s.Epoch != 9 || s.NodeID != "n1" {
			t.Errorf("file of %d bytes, next LSN %d: %+v", info.Size(), next, s)
		}
		next = s.Last + 1
		points = append(points, s.Points...)
	}
	if next != 405 || len(points) != 4 || points[0].Name != "point 50" || points[0].LSN != 52 {
		t.Errorf("next LSN %d, points %v", next, points)
	}
	if stale, err := filepath.Glob(filepath.Join(dir, "*"+newSuffix)); err != nil || len(stale) > 0 {
		t.Errorf("left behind: %v, %v", stale, err)
	}
}

func point(t testing.TB, l *Log, name string) {
	t.Helper()
	var b Batch
	if err := b.Add(TypeRestorePoint, 0, VShardNone, nil, RestorePoint{name}.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.AppendSync(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

// The segment of a log that is not closed is described up to the durable end.
func TestSegmentsOfActive(t *testing.T) {
	l := open(t, vfs.NewMem(), nil)
	if got := l.Segments(); len(got) != 0 {
		t.Fatalf("segments of an empty log: %v", got)
	}
	put(t, l, "a", "b")
	got := l.Segments()
	if len(got) != 1 || got[0].Sealed || got[0].First != 1 || got[0].Last != 2 || got[0].Records != 2 || got[0].FirstTime == 0 {
		t.Errorf("segments %+v", got)
	}
	closeLog(t, l)
}

// A segment is sealed when it is old, counted from its first record; an empty
// one never is.
func TestSealByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sealed := make(chan Segment, 10)
		l := open(t, vfs.NewMem(), &Options{SegmentAge: time.Minute, OnSeal: func(s Segment) { sealed <- s }})
		if err := l.Start(1, 1); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		synctest.Wait()
		if len(sealed) != 0 {
			t.Fatal("an empty segment was sealed")
		}
		for round := range 3 {
			began := time.Now()
			put(t, l, "x")
			pass(59 * time.Second)
			put(t, l, "y")
			synctest.Wait()
			if len(sealed) != 0 {
				t.Fatalf("round %d: sealed after %v", round, time.Since(began))
			}
			if s := <-sealed; s.Records != 2 || time.Since(began) != time.Minute {
				t.Fatalf("round %d: %d records sealed after %v", round, s.Records, time.Since(began))
			}
		}
		closeLog(t, l)
	})
}

// A seal by size starts the clock of age anew.
func TestAgeCountsFromFirstRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sealed := make(chan Segment, 10)
		l := open(t, vfs.NewMem(), &Options{SegmentBytes: 4 << 10, SegmentAge: time.Minute, OnSeal: func(s Segment) { sealed <- s }})
		put(t, l, "x")
		pass(40 * time.Second)
		put(t, l, strings.Repeat("y", 3900)) // does not fit beside x
		<-sealed
		began := time.Now()
		if s := <-sealed; s.First != 2 || time.Since(began) != time.Minute {
			t.Errorf("segment from LSN %d sealed after %v", s.First, time.Since(began))
		}
		closeLog(t, l)
	})
}

func TestSealByHand(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{SegmentAge: -1})
	if _, ok, err := l.Seal(t.Context()); ok || err != nil {
		t.Fatalf("seal of an empty log: %v, %v", ok, err)
	}
	a := l.NewAppender(nil)
	for want := LSN(2); want <= 6; want += 2 {
		// Not even committed: the seal takes what is pending.
		if _, _, err := a.Append(batchOf(t, "a", "b")); err != nil {
			t.Fatal(err)
		}
		s, ok, err := l.Seal(t.Context())
		if err != nil || !ok || s.Last != want || s.Records != 2 || !s.Sealed || s.SHA256 == [32]byte{} {
			t.Fatalf("seal: %+v, %v, %v", s, ok, err)
		}
		if _, ok, err := l.Seal(t.Context()); ok || err != nil {
			t.Fatalf("second seal: %v, %v", ok, err)
		}
	}
	closeLog(t, l)
}

// A batch larger than a segment gets a segment of its own size.
func TestBatchLargerThanSegment(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	large := strings.Repeat("x", 3<<20)
	want := []string{"a", large, "b", large + large, "c"}
	for _, p := range want {
		put(t, l, p)
	}
	if diff := cmp.Diff(want, payloads(t, l, 1)); diff != "" {
		t.Error(diff)
	}
	closeLog(t, l)
	checkSegments(t, fs, "wal")
}

// Truncation removes whole sealed segments only, oldest first, and what remains
// can be read.
func TestTruncate(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	for i := range 100 {
		put(t, l, fmt.Sprintf("%0150d", i))
	}
	before := l.Segments()
	if len(before) < 4 {
		t.Fatalf("%d segments", len(before))
	}
	for _, test := range []struct {
		upTo LSN
		want int
	}{{0, 0}, {before[0].Last - 1, 0}, {before[0].Last, 1}, {before[2].Last + 1, 2}, {1 << 60, len(before) - 4}} {
		removed, err := l.Truncate(test.upTo)
		if err != nil || len(removed) != test.want {
			t.Fatalf("truncate up to %d: %d removed, %v; want %d", test.upTo, len(removed), err, test.want)
		}
		for _, s := range removed {
			if _, err := fs.Stat(s.Path); err == nil {
				t.Errorf("%s is still there", s.Path)
			}
		}
	}
	first := l.Segments()[0].First
	if got := payloads(t, l, first); LSN(len(got)) != 100-first+1 {
		t.Errorf("%d records from %d", len(got), first)
	}
	var gone *TruncatedError
	if _, err := readPayloads(l, first-1); !errors.As(err, &gone) || gone.First != first || !errors.Is(err, ErrTruncated) {
		t.Errorf("reading what is gone: %v", err)
	}
	if got := payloads(t, l, 0); LSN(len(got)) != 100-first+1 {
		t.Errorf("%d records from the oldest", len(got))
	}
	closeLog(t, l)
}

// A reader keeps its segment's bytes, even when that is truncated and its file
// could be reused.
func TestTruncateUnderReader(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	write := func(n int) {
		for i := range n {
			put(t, l, fmt.Sprintf("%0150d", i))
		}
	}
	write(50)
	r := l.NewReader(1)
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	last := l.Segments()[0].Last
	if _, err := l.Truncate(l.Durable()); err != nil {
		t.Fatal(err)
	}
	write(200)
	for want := LSN(2); want <= last; want++ {
		if rec, err := r.Next(); err != nil || rec.LSN != want {
			t.Fatalf("LSN %d, %v; want %d", rec.LSN, err, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, ErrTruncated) {
		t.Errorf("behind the pinned segment: %v", err)
	}
	closeLog(t, l)
}

// Truncated segments are recycled, and old bytes in them never count.
func TestRecycle(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	for i := range 300 {
		put(t, l, fmt.Sprintf("%0150d", i))
		if i%20 == 19 {
			if _, err := l.Truncate(l.Durable()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := l.Stats().Recycled; got == 0 {
		t.Error("no segment was recycled")
	}
	closeLog(t, l)
	checkSegments(t, fs, "wal")
	l = open(t, fs, nil)
	if got := l.Appended(); got != 300 {
		t.Errorf("appended %d, want 300", got)
	}
	closeLog(t, l)
}

// Law 13: a full disk refuses appends before they take an LSN, poisons nothing,
// truncates without space, closes, and goes on when there is space.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		fs := faultfs.New(mem)
		l := open(t, fs, &Options{SegmentBytes: 8 << 10, SegmentAge: -1, SpareSegments: -1})
		if err := l.Start(1, 1); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			put(t, l, strings.Repeat("x", 300))
		}
		synctest.Wait()
		fs.SetFull(true)
		full := 0
		var err error
		for full = range 1000 {
			if _, _, err = l.AppendSync(t.Context(), batchOf(t, strings.Repeat("y", 300))); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrPoisoned) {
			t.Fatalf("after %d appends: %v", full, err)
		}
		if full < 10 {
			t.Errorf("only %d appends went into reserved space", full)
		}
		if l.Appended() != LSN(100+full) || l.Durable() != l.Appended() || l.Err() != nil {
			t.Errorf("appended %d, durable %d, error %v", l.Appended(), l.Durable(), l.Err())
		}
		if removed, err := l.Truncate(50); err != nil || len(removed) == 0 {
			t.Errorf("truncate on a full disk: %d, %v", len(removed), err)
		}
		if got := payloads(t, l, 0); len(got) == 0 {
			t.Error("nothing can be read")
		}
		fs.SetFull(false)
		pass(2 * prepareRetry)
		if got := put(t, l, "z"); got != LSN(101+full) {
			t.Errorf("LSN %d, want %d", got, 101+full)
		}
		synctest.Wait()
		fs.SetFull(true)
		closeLog(t, l)
		fs.SetFull(false)
		l = open(t, fs, nil)
		if got := l.Appended(); got != LSN(101+full) {
			t.Errorf("appended %d after reopening, want %d", got, 101+full)
		}
		closeLog(t, l)
	})
}

func TestStart(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{FirstLSN: 1000})
	if err := l.Start(2, 5); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(2, 6); !errors.Is(err, ErrStarted) {
		t.Errorf("second start: %v", err)
	}
	if got := put(t, l, "x"); got != 1000 {
		t.Errorf("first LSN %d, want 1000", got)
	}
	closeLog(t, l)
	l = open(t, fs, nil)
	if got := payloads(t, l, 1000); len(got) != 1 { // readable before it is started
		t.Errorf("%d records", len(got))
	}
	put(t, l, "y")
	if err := l.Start(3, 7); !errors.Is(err, ErrStarted) {
		t.Errorf("start after an append: %v", err)
	}
	closeLog(t, l)
	// Opened, started and closed without a record, again and again.
	for epoch := range Epoch(3) {
		l = open(t, fs, nil)
		if err := l.Start(4, epoch); err != nil {
			t.Fatal(err)
		}
		closeLog(t, l)
	}
	l = open(t, fs, nil)
	if got := put(t, l, "z"); got != 1002 {
		t.Errorf("LSN %d, want 1002", got)
	}
	closeLog(t, l)
	checkSegments(t, fs, "wal")
}

func TestOptions(t *testing.T) {
	_, err := Open("wal", &Options{FS: vfs.NewMem(), SegmentBytes: 1, PayloadBytesMax: -1, NodeID: strings.Repeat("x", 65)})
	for _, want := range []string{"SegmentBytes", "PayloadBytesMax", "NodeID"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not speak of %s", err, want)
		}
	}
	l, err := Open(filepath.Join(t.TempDir(), "wal"), nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, "x")
	closeLog(t, l)
}

// pass lets d of synctest's time go by.
func pass(d time.Duration) { <-time.After(d) }
