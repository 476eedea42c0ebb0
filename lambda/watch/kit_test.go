package watch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/lambda/watch"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const nodeID = "n1"

// sealed is a segment as an archiver sends it.
type sealed struct {
	key  string
	data []byte
}

// segments writes a log of n segments with one record each.
func segments(t testing.TB, node string, n int) []sealed {
	t.Helper()
	fsys := vfs.NewMem()
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: node, SegmentAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	var out []sealed
	for i := range n {
		var b wal.Batch
		put := &kv.Put{Op: kv.OpPut, Key: fmt.Appendf(nil, "k%d", i), Value: []byte("v")}
		if err := b.Add(kv.TypePut, 0, 0, nil, kv.AppendPut(nil, put)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.AppendSync(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		seg, ok, err := l.Seal(context.Background())
		if err != nil || !ok {
			t.Fatalf("seal: %v, %v", ok, err)
		}
		out = append(out, seal(t, fsys, node, seg))
	}
	return out
}

func seal(t testing.TB, fsys vfs.FS, node string, seg wal.Segment) sealed {
	t.Helper()
	f, err := fsys.Open(seg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var data bytes.Buffer
	if _, err := archive.Seal(&data, io.LimitReader(f, seg.Bytes)); err != nil {
		t.Fatal(err)
	}
	key := archive.SegmentKey{Timeline: seg.Timeline, First: seg.First, Last: seg.Last, Epoch: seg.Epoch, SHA16: archive.Short(seg.SHA256)}
	return sealed{archive.Join(node, key), data.Bytes()}
}

// recorder notes the requests to a store, and can refuse them.
type recorder struct {
	archive.Store

	mu     sync.Mutex
	ops    []string
	refuse error // of every read
	listed chan struct{}
	// held, if there is one, is what each read waits for; entered tells that one does.
	held, entered chan struct{}
}

// fileStore is an archive on disk.
func fileStore(t testing.TB) *recorder {
	t.Helper()
	s, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &recorder{Store: s, listed: make(chan struct{})}
}

func (r *recorder) hold() { r.held, r.entered = make(chan struct{}), make(chan struct{}, 1) }

func (r *recorder) note(op string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// taken are the requests since the last call.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ops := r.ops
	r.ops = nil
	return ops
}

func (r *recorder) trouble(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

func (r *recorder) answer() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuse
}

func (r *recorder) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	r.note("list")
	select {
	case r.listed <- struct{}{}:
	default:
	}
	if err := r.answer(); err != nil {
		return func(yield func(archive.Object, error) bool) { yield(archive.Object{}, err) }
	}
	return r.Store.List(ctx, prefix, after)
}

func (r *recorder) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r.note("read")
	if r.held != nil {
		select {
		case r.entered <- struct{}{}:
		default:
		}
		<-r.held
	}
	if err := r.answer(); err != nil {
		return nil, err
	}
	return r.Store.ReadRange(ctx, key, off, n)
}

func (r *recorder) Stat(ctx context.Context, key string) (archive.Object, error) {
	r.note("stat")
	return r.Store.Stat(ctx, key)
}

func (r *recorder) put(t testing.TB, s sealed) {
	t.Helper()
	if err := r.Create(context.Background(), s.key, bytes.NewReader(s.data), int64(len(s.data))); err != nil {
		t.Fatal(err)
	}
}

var unreachable = &archive.StoreError{Op: "read", Store: "here", Class: archive.ErrUnreachable}

// run is a watch that runs until the test ends, or stop is called.
type run struct {
	watcher *watch.Watcher
	told    chan index.Result
	stop    func() error
}

// start runs way, with a watcher of the store.
func start(t testing.TB, s archive.Store, way func(ctx context.Context, w *watch.Watcher) error) *run {
	t.Helper()
	r := &run{told: make(chan index.Result, 64)}
	r.watcher = &watch.Watcher{Handler: &index.Handler{Store: s, Told: func(d index.Result) { r.told <- d }}, Interval: time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- way(ctx, r.watcher) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the watch ended with: %v", err)
		}
	})
	return r
}

// want waits for the next result.
func (r *run) want(t testing.TB, s sealed, outcome index.Outcome) {
	t.Helper()
	if d := <-r.told; d.Segment != s.key || d.Outcome != outcome {
		t.Fatalf("told %+v, want %s to be %s", d, s.key, outcome)
	}
}

// until waits for a segment to be indexed, over whatever else is told.
func (r *run) until(s sealed) {
	for d := range r.told {
		if d.Segment == s.key && d.Outcome == index.Indexed {
			return
		}
	}
}
