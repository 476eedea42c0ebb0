package archivetest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
)

// Op is a method of archive.Store.
type Op string

// The methods that can fail.
const (
	OpCreate Op = "create"
	OpRead   Op = "read"
	OpStat   Op = "stat"
	OpList   Op = "list"
	OpDelete Op = "delete"
)

// Fault is what goes wrong in one call.
type Fault uint8

// The faults. A fault that has no meaning for a method is None there.
const (
	None      Fault = iota
	Fail            // nothing is done; Faulty.Err is returned
	Hang            // nothing is done; returns when the context ends
	LostAck         // done, then Faulty.Err is returned (create, delete)
	FalseAck        // success is returned, nothing is done (create, delete)
	Truncated       // the body ends early without an error (read); half of it is stored (create)
	Flipped         // one bit of the body is wrong (read)
	StaleList       // the newest Faulty.Lag creations are not listed (list)
)

var faultNames = [...]string{"none", "fail", "hang", "lost ack", "false ack", "truncated", "flipped", "stale list"}

// String is the fault in words.
func (f Fault) String() string { return faultNames[f] }

// Plan decides the fault of one call. n counts the calls of all methods from
// 0. It is called by one goroutine at a time and may block, so a test can use
// it as a gate.
type Plan func(op Op, key string, n int) Fault

// Healthy is the plan without faults.
func Healthy(Op, string, int) Fault { return None }

// Always gives the same fault to the listed methods, or to all if none is
// listed.
func Always(f Fault, ops ...Op) Plan {
	return func(op Op, _ string, _ int) Fault {
		if len(ops) == 0 || slices.Contains(ops, op) {
			return f
		}
		return None
	}
}

// Seeded draws each call's fault by itself: rate of the calls fail, in one of
// the given ways. The same seed and order of calls give the same faults.
func Seeded(seed uint64, rate float64, faults ...Fault) Plan {
	rnd := rand.New(rand.NewPCG(seed, 0))
	return func(Op, string, int) Fault {
		if rnd.Float64() >= rate {
			return None
		}
		return faults[rnd.IntN(len(faults))]
	}
}

// Faulty is a store that fails by plan. Set its exported fields before use.
type Faulty struct {
	Err error // of Fail and LostAck; archive.ErrUnreachable by default
	Lag int   // of StaleList; 1 by default

	inner archive.Store

	mu      sync.Mutex // guards what is below
	plan    Plan
	calls   int
	counts  map[Fault]int
	created []string // in order
}

// NewFaulty wraps inner. A nil plan is Healthy.
func NewFaulty(inner archive.Store, plan Plan) *Faulty {
	if plan == nil {
		plan = Healthy
	}
	return &Faulty{Err: archive.ErrUnreachable, Lag: 1, inner: inner, plan: plan, counts: make(map[Fault]int)}
}

// SetPlan changes what goes wrong from the next call on.
func (s *Faulty) SetPlan(p Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = p
}

// Count tells how many calls met the fault so far.
func (s *Faulty) Count(f Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[f]
}

// Calls tells how many calls were made so far.
func (s *Faulty) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Inner is the wrapped store, for a look at what is really there.
func (s *Faulty) Inner() archive.Store { return s.inner }

// next draws the fault of a call and plays those that need no store.
func (s *Faulty) next(ctx context.Context, op Op, key string) (Fault, error) {
	s.mu.Lock()
	f := s.plan(op, key, s.calls)
	s.calls++
	s.counts[f]++
	s.mu.Unlock()
	switch f {
	case Fail:
		return f, s.fault(op, key, f)
	case Hang:
		<-ctx.Done()
		return f, &archive.StoreError{Op: string(op), Store: s.URL(), Key: key, Class: ctx.Err()}
	}
	return f, nil
}

func (s *Faulty) fault(op Op, key string, f Fault) error {
	return &archive.StoreError{Op: string(op), Store: s.URL(), Key: key, Class: s.Err, Err: fmt.Errorf("injected fault: %v", f)}
}

// Create is archive.Store's, with faults.
func (s *Faulty) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	f, err := s.next(ctx, OpCreate, key)
	if err != nil {
		return err
	}
	switch f {
	case FalseAck:
		return nil
	case Truncated:
		size /= 2
	}
	if err := s.inner.Create(ctx, key, body, size); err != nil {
		return err
	}
	s.mu.Lock()
	s.created = append(s.created, key)
	s.mu.Unlock()
	if f == LostAck {
		return s.fault(OpCreate, key, f)
	}
	return nil
}

// ReadRange is archive.Store's, with faults.
func (s *Faulty) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	f, err := s.next(ctx, OpRead, key)
	if err != nil {
		return nil, err
	}
	r, err := s.inner.ReadRange(ctx, key, off, n)
	if err != nil || (f != Truncated && f != Flipped) {
		return r, err
	}
	data, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return &damagedBody{data: data, fault: f}, nil
}

// damagedBody is the middle of a body cut off, or one bit of it flipped.
type damagedBody struct {
	data  []byte
	fault Fault
	ready bool
}

func (b *damagedBody) Read(p []byte) (int, error) {
	if !b.ready {
		b.ready = true
		switch {
		case b.fault == Truncated:
			b.data = b.data[:len(b.data)/2]
		case len(b.data) > 0:
			b.data[len(b.data)/2] ^= 0x10
		}
	}
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

func (b *damagedBody) Close() error { return nil }

// Stat is archive.Store's, with faults.
func (s *Faulty) Stat(ctx context.Context, key string) (archive.Object, error) {
	if _, err := s.next(ctx, OpStat, key); err != nil {
		return archive.Object{}, err
	}
	return s.inner.Stat(ctx, key)
}

// List is archive.Store's, with faults.
func (s *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		f, err := s.next(ctx, OpList, prefix)
		if err != nil {
			yield(archive.Object{}, err)
			return
		}
		var hidden []string
		if f == StaleList {
			s.mu.Lock()
			hidden = slices.Clone(s.created[max(0, len(s.created)-s.Lag):])
			s.mu.Unlock()
		}
		for o, err := range s.inner.List(ctx, prefix, after) {
			if err == nil && slices.Contains(hidden, o.Key) {
				continue
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// Delete is archive.Store's, with faults.
func (s *Faulty) Delete(ctx context.Context, key string) error {
	f, err := s.next(ctx, OpDelete, key)
	if err != nil || f == FalseAck {
		return err
	}
	if err := s.inner.Delete(ctx, key); err != nil {
		return err
	}
	if f == LostAck {
		return s.fault(OpDelete, key, f)
	}
	return nil
}

// URL is the wrapped store's.
func (s *Faulty) URL() string { return s.inner.URL() }

// Close closes the wrapped store.
func (s *Faulty) Close() error { return s.inner.Close() }
