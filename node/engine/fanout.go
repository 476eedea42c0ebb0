package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/wal"
)

// Fanout replays one log into all vshards of a node: the caller reads and decodes
// it once, each vshard applies its own records on a goroutine of its own.
//
// Add, Finish and Close are for one goroutine. Memory is bounded by the chunks
// below and by the replays' runs; it does not grow with the log.
type Fanout struct {
	lanes  []*lane
	wg     sync.WaitGroup
	failed atomic.Pointer[error] // the first lane's failure; stops Add early
	ended  bool
}

// chunkBytes is how much of a log is handed to a vshard at a time, and
// chunksAhead how many chunks may wait for it.
const (
	chunkBytes  = 256 << 10
	chunksAhead = 4
)

// A lane is one vshard's part. open belongs to the caller of Add; a chunk that
// was sent belongs to the lane's goroutine, which gives it back through free.
type lane struct {
	vshard *VShard
	replay *Replay
	open   *chunk
	full   chan *chunk
	free   chan *chunk
	err    error // of the goroutine, readable once it has ended
}

// A chunk holds records and the bytes that they refer to.
type chunk struct {
	data    []byte
	records []wal.Record
}

// NewFanout starts a replay of every vshard. vshards[i] must have the number i.
func NewFanout(vshards []*VShard) (*Fanout, error) {
	f := &Fanout{}
	for i, v := range vshards {
		if int(v.ID()) != i {
			return nil, errors.Join(fmt.Errorf("%w: %04x at index %d", ErrWrongVShard, v.ID(), i), f.Close())
		}
		r, err := v.NewReplay(nil)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("replay vshard %04x: %w", v.ID(), err), f.Close())
		}
		l := &lane{vshard: v, replay: r, full: make(chan *chunk, chunksAhead), free: make(chan *chunk, chunksAhead+1)}
		f.lanes = append(f.lanes, l)
		f.wg.Go(func() { f.run(l) })
	}
	return f, nil
}

// Add takes one record; records come in the order of their LSNs. The record's
// memory is free after the call. Records of the node itself are passed over. An
// error is that of any vshard and ends the replay: Close is what is left to do.
func (f *Fanout) Add(rec *wal.Record) error {
	if rec.VShard == wal.VShardNone {
		return nil
	}
	if int(rec.VShard) >= len(f.lanes) {
		return fmt.Errorf("record of LSN %d: %w: %04x, the node has %d vshards", rec.LSN, ErrWrongVShard, rec.VShard, len(f.lanes))
	}
	l := f.lanes[rec.VShard]
	if l.open == nil {
		l.open = l.take()
	}
	l.open.add(rec)
	if len(l.open.data) < chunkBytes {
		return nil
	}
	return f.send(l)
}

func (f *Fanout) send(l *lane) error {
	if err := f.failed.Load(); err != nil {
		return *err
	}
	// The lane's goroutine receives until the channel is closed, also after it
	// failed, so this never blocks for good.
	l.full <- l.open
	l.open = nil
	return nil
}

func (l *lane) take() *chunk {
	select {
	case c := <-l.free:
		return c
	default:
		return &chunk{}
	}
}

func (c *chunk) add(rec *wal.Record) {
	kept := *rec
	at := len(c.data)
	c.data = append(append(c.data, rec.Idem...), rec.Payload...)
	// A grown slice leaves earlier records on the old array, which stays valid.
	kept.Idem = c.data[at : at+len(rec.Idem) : at+len(rec.Idem)]
	kept.Payload = c.data[at+len(rec.Idem) : len(c.data) : len(c.data)]
	c.records = append(c.records, kept)
}

func (f *Fanout) run(l *lane) {
	for c := range l.full {
		if l.err == nil {
			if l.err = l.apply(c); l.err != nil {
				f.failed.CompareAndSwap(nil, &l.err)
			}
		}
		clear(c.records)
		c.data, c.records = c.data[:0], c.records[:0]
		select {
		case l.free <- c:
		default:
		}
	}
}

// apply turns the panic of an engine into an error: a record that cannot be
// applied must not take the process down each time it starts.
func (l *lane) apply(c *chunk) (err error) {
	var at wal.LSN
	defer func() {
		if p := recover(); p != nil {
			l.vshard.log.Error("panic in replay", "lsn", at, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("apply record of LSN %d to vshard %04x: panic: %v", at, l.vshard.ID(), p)
		}
	}()
	for i := range c.records {
		at = c.records[i].LSN
		if err := l.replay.Apply(&c.records[i]); err != nil {
			return err
		}
	}
	return nil
}

// Finish applies what is left and moves every vshard's applied LSN to last, which
// the caller promises is the end of what it gave.
func (f *Fanout) Finish(last wal.LSN, timeMicros int64) error {
	for _, l := range f.lanes {
		if l.open != nil {
			if err := f.send(l); err != nil {
				return err
			}
		}
	}
	f.end()
	errs := make([]error, len(f.lanes))
	var wg sync.WaitGroup
	for i, l := range f.lanes {
		if errs[i] = l.err; l.err == nil {
			wg.Go(func() { errs[i] = l.replay.Finish(last, timeMicros) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *Fanout) end() {
	if f.ended {
		return
	}
	f.ended = true
	for _, l := range f.lanes {
		close(l.full)
	}
	f.wg.Wait()
}

// Close ends the replay; without Finish the vshards stay at what they reached.
func (f *Fanout) Close() error {
	f.end()
	var errs []error
	for _, l := range f.lanes {
		errs = append(errs, l.replay.Close())
	}
	return errors.Join(errs...)
}
