package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/loadfmt"
	"github.com/nodedb-go/nodedb/internal/resp/client"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	// loadBytesMax bounds the entries that wait for their writes.
	loadBytesMax = 64 << 20
	// stallMax is how long load waits for an archive that is behind.
	stallMax = time.Minute
	// badShown is how many malformed entries --skip-bad names.
	badShown = 20
)

// loader reads a source and writes its entries with many writers. A key always
// goes to the same writer, so of a key that comes twice the last one stays.
//
//	source ─▶ read ─▶ hash of key ─▶ writer 0 … n ─▶ node
type loader struct {
	call   *cli.Call
	to     []keyWriter // of each queue
	source loadfmt.Source
	bar    *cli.Bar
	seed   maphash.Seed
	queues []chan loadfmt.Entry
	room   room

	loaded, bytes, lsn atomic.Int64
	bad, expired       int64 // of the reader

	fail   context.CancelCauseFunc
	warned sync.Once
}

func newLoader(c *cli.Call, to []keyWriter, source loadfmt.Source, bar *cli.Bar) *loader {
	l := &loader{call: c, to: to, source: source, bar: bar, seed: maphash.MakeSeed()}
	l.room.free = loadBytesMax
	l.room.cond.L = &l.room.mu
	for range to {
		l.queues = append(l.queues, make(chan loadfmt.Entry, 8))
	}
	return l
}

// run loads until the end of the source, the first malformed entry, the first
// failed write, or the end of ctx. All entries that were read before it stopped
// reading are written when it returns, unless a write failed.
func (l *loader) run(ctx context.Context) (*loadDoc, error) {
	began := time.Now()
	writes, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	l.fail = fail
	defer fail(nil)
	var writers sync.WaitGroup
	for i, q := range l.queues {
		writers.Go(func() {
			for e := range q {
				l.write(writes, l.to[i], e)
				l.room.give(entryBytes(e))
			}
		})
	}
	err := l.read(ctx, writes)
	for _, q := range l.queues {
		close(q)
	}
	writers.Wait()
	if cause := context.Cause(writes); cause != nil {
		err = cause
	}
	l.bar.Set(l.source.Offset())
	doc := &loadDoc{Loaded: l.loaded.Load(), Bytes: l.bytes.Load(), Bad: l.bad, Expired: l.expired,
		Skipped: l.source.Skipped(), Took: time.Since(began)}
	doc.LSN = wal.LSN(l.lsn.Load())
	return doc, err
}

// read hands entries to the writers.
func (l *loader) read(ctx, writes context.Context) error {
	for ctx.Err() == nil && writes.Err() == nil {
		e, err := l.source.Next()
		if err == nil {
			err = check(e)
		}
		var bad *loadfmt.BadEntryError
		switch {
		case errors.As(err, &bad):
			if !l.call.Bool("skip-bad") {
				return fmt.Errorf("malformed entry: %w", err)
			}
			if l.bad++; l.bad <= badShown {
				fmt.Fprintf(l.call.Stderr, "passed over %v\n", bad)
			}
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !e.ExpireAt.IsZero() && !e.ExpireAt.After(time.Now()):
			l.expired++
			continue
		}
		l.room.take(entryBytes(e))
		l.queues[maphash.Bytes(l.seed, e.Key)%uint64(len(l.queues))] <- e
		l.bar.Set(l.source.Offset())
	}
	return context.Cause(ctx)
}

// check refuses what the node would refuse, while the place is at hand.
func check(e loadfmt.Entry) error {
	if err := errors.Join(kv.CheckKey(e.Key), kv.CheckValue(e.Value)); err != nil {
		return &loadfmt.BadEntryError{Place: e.Place, Err: err}
	}
	return nil
}

// write writes one entry, waiting where waiting helps.
func (l *loader) write(ctx context.Context, to keyWriter, e loadfmt.Entry) {
	o := &node.WriteOptions{TTL: e.TTL, ExpireAt: e.ExpireAt}
	var stalled time.Duration
	for {
		lsn, err := to.Put(ctx, e.Key, e.Value, o)
		if err == nil {
			l.loaded.Add(1)
			l.bytes.Add(int64(len(e.Key) + len(e.Value)))
			atomicMax(&l.lsn, int64(lsn))
			return
		}
		pause, ok := l.pause(err)
		if stalled += pause; !ok || stalled > stallMax {
			l.fail(fmt.Errorf("write %s: %w", e.Place, err))
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// pause says how long to wait before the same write may succeed.
func (l *loader) pause(err error) (time.Duration, bool) {
	if d, ok := node.RetryAfter(err); ok {
		return max(d, time.Millisecond), true
	}
	told, _ := errors.AsType[client.Error](err) // of a node that runs
	switch code := told.Code(); {
	case code == "TRYAGAIN":
		return 10 * time.Millisecond, true
	case code == "ARCHIVEBEHIND", errors.Is(err, node.ErrArchiveStalled):
		l.warned.Do(func() { l.call.Notef("the archive is behind, loading waits for it: %v", err) })
		return 100 * time.Millisecond, true
	case errors.Is(err, node.ErrOverloaded), errors.Is(err, node.ErrRebuilding):
		return time.Millisecond, true
	}
	return 0, false
}

func atomicMax(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}

// room bounds the bytes that wait. One entry alone always fits.
type room struct {
	mu   sync.Mutex
	cond sync.Cond
	free int64
}

func entryBytes(e loadfmt.Entry) int64 { return min(int64(len(e.Key)+len(e.Value)), loadBytesMax) }

func (r *room) take(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.free < n {
		r.cond.Wait()
	}
	r.free -= n
}

func (r *room) give(n int64) {
	r.mu.Lock()
	r.free += n
	r.mu.Unlock()
	r.cond.Signal()
}
