package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/faultfs"
)

// gateFS lets a test decide when a sync of a segment returns, and how.
type gateFS struct {
	vfs.FS
	arrived chan string  // path of the file whose sync began
	answer  chan error   // what it returns
	on      atomic.Bool  // only now
	writes  atomic.Int64 // into segments while on
}

type gateFile struct {
	vfs.File
	fs *gateFS
}

func newGateFS() *gateFS {
	return &gateFS{FS: vfs.NewMem(), arrived: make(chan string), answer: make(chan error)}
}

func (g *gateFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g}, nil
}

func (f *gateFile) WriteAt(p []byte, at int64) (int, error) {
	if f.fs.on.Load() {
		f.fs.writes.Add(1)
	}
	return f.File.WriteAt(p, at)
}

func (f *gateFile) SyncData() error {
	if f.fs.on.Load() {
		f.fs.arrived <- "sync"
		if err := <-f.fs.answer; err != nil {
			return err
		}
	}
	return f.File.SyncData()
}

// startGated returns a log whose active segment exists, with the gate shut.
func startGated(t *testing.T) (*gateFS, *Log) {
	t.Helper()
	g := newGateFS()
	l := open(t, g, &Options{SegmentAge: -1, Rand: salts})
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	// The preparer has nothing more to write: what is counted is the log's.
	l.mu.Lock()
	for l.mu.ready == nil || l.mu.ready.capacity < l.nextBytes() {
		l.mu.changed.Wait()
	}
	l.mu.Unlock()
	g.on.Store(true)
	return g, l
}

// Law 1 and the group commit: while one group is being synced nothing of it is
// durable, further appends are taken, and all of them become durable by one
// write and one sync, with one wake for each appender.
func TestGroupCommit(t *testing.T) {
	g, l := startGated(t)
	const cores = 5
	var wakes [cores]atomic.Int64
	var appenders [cores]*Appender
	woken := make(chan int, 100)
	for i := range appenders {
		appenders[i] = l.NewAppender(func() {
			wakes[i].Add(1)
			woken <- i
		})
	}
	if _, _, err := appenders[0].Append(batchOf(t, "first")); err != nil {
		t.Fatal(err)
	}
	l.Kick()
	<-g.arrived
	for round := range 3 {
		for _, a := range appenders {
			if _, _, err := a.Append(batchOf(t, fmt.Sprint(round), "x")); err != nil {
				t.Fatal(err)
			}
			if a.Commit() {
				t.Error("commit beside another commit")
			}
		}
	}
	if got := l.Durable(); got != 0 {
		t.Errorf("durable %d before any sync returned", got)
	}
	if got := l.Appended(); got != 31 {
		t.Errorf("appended %d, want 31", got)
	}
	before := g.writes.Load()
	g.answer <- nil
	if i := <-woken; i != 0 {
		t.Errorf("appender %d was woken by a group without its records", i)
	}
	<-g.arrived
	if got := l.Durable(); got != 1 {
		t.Errorf("durable %d while the second group is synced, want 1", got)
	}
	g.answer <- nil
	for range cores {
		<-woken
	}
	if err := l.Wait(t.Context(), 31); err != nil {
		t.Fatal(err)
	}
	if n := g.writes.Load() - before; n != 1 {
		t.Errorf("%d writes for the second group, want 1", n)
	}
	for i := range wakes {
		want := int64(1)
		if i == 0 {
			want = 2
		}
		if got := wakes[i].Load(); got != want {
			t.Errorf("appender %d was woken %d times, want %d", i, got, want)
		}
	}
	g.on.Store(false)
	closeLog(t, l)
}

// An appender that is alone commits on its own thread, and is not woken for it.
func TestCommitAlone(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{SegmentAge: -1})
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	other := make(chan struct{}, 1)
	a := l.NewAppender(func() { t.Error("woken for its own commit") })
	b := l.NewAppender(func() { other <- struct{}{} })
	if a.Commit() {
		t.Error("commit of nothing")
	}
	for _, x := range []*Appender{a, b} {
		if _, _, err := x.Append(batchOf(t, "x")); err != nil {
			t.Fatal(err)
		}
	}
	if !a.Commit() || l.Durable() != 2 {
		t.Errorf("durable %d after a commit alone, want 2", l.Durable())
	}
	<-other
	if s := l.Stats(); s.Alone != 1 || s.Groups != 1 || s.Records != 2 {
		t.Errorf("stats %+v", s)
	}
	closeLog(t, l)
}

// Law 10: a sync that fails poisons the log for everyone who waits, and is not
// tried again.
func TestPoisonWakesAll(t *testing.T) {
	g, l := startGated(t)
	woken := make(chan struct{}, 2)
	a := l.NewAppender(func() { woken <- struct{}{} })
	b := l.NewAppender(func() { woken <- struct{}{} })
	if _, _, err := a.Append(batchOf(t, "in flight")); err != nil {
		t.Fatal(err)
	}
	l.Kick()
	<-g.arrived
	if _, _, err := b.Append(batchOf(t, "pending")); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 3)
	for _, lsn := range []LSN{1, 2, 3} {
		go func() { errs <- l.Wait(context.Background(), lsn) }()
	}
	g.answer <- syscall.EIO
	for range 3 {
		var p *PoisonedError
		if err := <-errs; !errors.As(err, &p) || !errors.Is(err, syscall.EIO) || p.Op != "sync" || !strings.HasSuffix(p.Path, SegmentName(1)) {
			t.Errorf("wait: %v, want a PoisonedError of the sync", err)
		}
	}
	<-woken
	<-woken
	if l.Durable() != 0 {
		t.Errorf("durable %d after a failed sync", l.Durable())
	}
	if err := l.Close(); !errors.Is(err, ErrPoisoned) { // the gate would hang a second sync
		t.Errorf("close: %v", err)
	}
}

func TestWaitGivesUp(t *testing.T) {
	g, l := startGated(t)
	if _, _, err := l.NewAppender(nil).Append(batchOf(t, "x")); err != nil {
		t.Fatal(err)
	}
	l.Kick()
	<-g.arrived
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := l.Wait(ctx, 1); !errors.Is(err, cause) {
		t.Errorf("wait: %v, want %v", err, cause)
	}
	if _, _, err := l.Seal(ctx); !errors.Is(err, cause) {
		t.Errorf("seal: %v, want %v", err, cause)
	}
	future := make(chan error)
	go func() { future <- l.Wait(context.Background(), 99) }()
	g.on.Store(false)
	g.answer <- nil
	if err := l.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if err := <-future; !errors.Is(err, ErrClosed) {
		t.Errorf("wait for an LSN that never came: %v", err)
	}
}

// A clock that goes back does not take the records' times with it, not even
// over a restart.
func TestTimesNeverGoBack(t *testing.T) {
	fs := vfs.NewMem()
	now := time.UnixMicro(1_000_000)
	clock := func() time.Time { return now }
	var got []int64
	for _, at := range [][]int64{{10, 20, 5}, {1, 2}, {30, 25}} {
		l := open(t, fs, &Options{Clock: clock, SegmentBytes: 4 << 10})
		for _, x := range at {
			now = time.UnixMicro(x)
			_, micros, err := l.AppendSync(t.Context(), batchOf(t, "x"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, micros)
		}
		if _, err := l.Truncate(l.Durable()); err != nil {
			t.Fatal(err)
		}
		closeLog(t, l)
	}
	if diff := cmp.Diff([]int64{10, 20, 20, 20, 20, 30, 30}, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

// Law 13: what waits for the disk is bounded. An append beyond the bound waits
// until the disk has taken what is in front of it, and loses nothing.
func TestPendingIsBounded(t *testing.T) {
	g, l := startGated(t)
	l.pendingMax = 2000
	a := l.NewAppender(nil)
	if _, _, err := a.Append(batchOf(t, "in flight")); err != nil {
		t.Fatal(err)
	}
	l.Kick()
	<-g.arrived
	large := batchOf(t, strings.Repeat("x", 1000))
	taken := make(chan LSN)
	go func() {
		for range 4 {
			first, _, err := l.NewAppender(nil).Append(large)
			if err != nil {
				t.Error(err)
			}
			taken <- first
		}
	}()
	if got := <-taken; got != 2 {
		t.Errorf("LSN %d, want 2", got)
	}
	for l.Stats().Waits == 0 {
		runtime.Gosched()
	}
	if l.Appended() != 2 {
		t.Errorf("appended %d beyond the bound", l.Appended())
	}
	g.on.Store(false)
	g.answer <- nil
	for want := LSN(3); want <= 5; want++ {
		if got := <-taken; got != want {
			t.Errorf("LSN %d, want %d", got, want)
		}
	}
	if err := l.Wait(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
}

// Law 3, in part: an appender's records stand in the order of its appends. And
// many appenders of both kinds, readers and seals at once: every LSN is given
// once, what a call acknowledged is durable, and the readers see each record
// once, in order.
func TestConcurrency(t *testing.T) {
	const appenders, rounds = 12, 150
	fs := faultfs.New(vfs.NewMem())
	sealed := make(chan Segment, 1000)
	l := open(t, fs, &Options{SegmentBytes: 32 << 10, Rand: salts, SegmentAge: -1, OnSeal: func(s Segment) { sealed <- s }})
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	given := &positions{byLSN: map[LSN]string{}}
	var writers, readers sync.WaitGroup
	for w := range appenders {
		writers.Go(func() { given.write(t, l, w, rounds) })
	}
	done, finish := context.WithCancel(t.Context())
	seen := make([]map[LSN]string, 3)
	for i := range seen {
		seen[i] = map[LSN]string{}
		readers.Go(func() { tail(t, l, done, seen[i]) })
	}
	readers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done.Done():
				return
			case <-sealed:
				if n%3 > 0 {
					continue
				}
				if _, _, err := l.Seal(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	writers.Wait()
	finish()
	readers.Wait()
	for i := range seen {
		if diff := cmp.Diff(given.byLSN, seen[i]); diff != "" {
			t.Errorf("reader %d (-written +read):\n%s", i, diff)
		}
	}
	if LSN(len(given.byLSN)) != l.Durable() {
		t.Errorf("%d records, durable %d", len(given.byLSN), l.Durable())
	}
	closeLog(t, l)
	checkSegments(t, fs, "wal")
}

// positions is what the appenders were given, all together.
type positions struct {
	mu    sync.Mutex
	byLSN map[LSN]string
}

// write appends batches as writer w does.
func (p *positions) write(t *testing.T, l *Log, w, rounds int) {
	r := rand.New(rand.NewPCG(3, uint64(w)))
	wake := make(chan struct{}, 1)
	a := l.NewAppender(func() { signal(wake) })
	last := LSN(0)
	for i := range rounds {
		var b Batch
		for j := range 1 + r.IntN(4) {
			if err := b.Add(64, 1, uint16(w), nil, fmt.Appendf(nil, "%d/%d/%d %0*d", w, i, j, r.IntN(300), 0)); err != nil {
				t.Error(err)
				return
			}
		}
		if err := appendSomehow(l, a, wake, &b, w%2 == 0); err != nil {
			t.Error(err)
			return
		}
		p.mu.Lock()
		for _, rec := range b.All() {
			if rec.LSN <= last {
				t.Errorf("appender %d: LSN %d after %d", w, rec.LSN, last)
			}
			last = rec.LSN
			if old, taken := p.byLSN[rec.LSN]; taken {
				t.Errorf("LSN %d was given to %q and %q", rec.LSN, old, rec.Payload)
			}
			p.byLSN[rec.LSN] = string(rec.Payload)
		}
		p.mu.Unlock()
	}
}

func appendSomehow(l *Log, a *Appender, wake chan struct{}, b *Batch, sync bool) error {
	if sync {
		_, _, err := l.AppendSync(context.Background(), b)
		return err
	}
	first, _, err := a.Append(b)
	if err != nil {
		return err
	}
	last := first + LSN(b.Len()) - 1
	if a.Commit() && l.Durable() < last {
		return fmt.Errorf("commit alone left LSN %d behind", last)
	}
	for l.Durable() < last {
		<-wake
	}
	return nil
}

// tail reads as the log grows, until done and the end.
func tail(t *testing.T, l *Log, done context.Context, seen map[LSN]string) {
	r := l.NewReader(1)
	defer r.Close()
	for next := LSN(1); ; {
		finished := false
		select {
		case <-done.Done():
			finished = true
		default:
		}
		rec, err := r.Next()
		switch {
		case err == nil && rec.LSN == next:
			seen[rec.LSN] = string(rec.Payload)
			next++
		case err == nil:
			t.Errorf("LSN %d in the place of %d", rec.LSN, next)
			return
		case finished && next == l.Durable()+1:
			return
		case next <= l.Durable():
			if !isEOF(err) {
				t.Error(err)
				return
			}
		default:
			if err := l.Wait(done, next); err != nil && done.Err() == nil {
				t.Error(err)
				return
			}
		}
	}
}

// checkSegments verifies a closed log and returns its report.
func checkSegments(t testing.TB, fs vfs.FS, dir string) *Report {
	t.Helper()
	report, err := Verify(dir, fs)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil || report.Torn != nil {
		t.Fatalf("damage %v, torn %v", err, report.Torn)
	}
	return report
}
