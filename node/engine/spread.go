package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// A Spreader is an Engine whose stored state can be copied to other vshards: to
// another number of them, or only a part of it. What it copies is what Apply had
// stored; nothing is applied anew.
type Spreader interface {
	Engine

	// Spread reads the state of a whole node, from[i] being vshard i, and gives
	// what sel keeps to put, which copies key and value. Each live entry that is
	// kept is added to d, as AddDigest would.
	Spread(ctx context.Context, from []Reader, sel *Selection, d *Digest, put func(vshard uint16, key, value []byte) error) error
}

// Selection says what a copy of a node's state holds.
type Selection struct {
	VShards  int      // of the copy
	Tenants  []uint32 // empty: all
	Prefixes [][]byte // of keys, any of them; empty: all
}

// Keeps says whether the selection holds the entry of a tenant's key.
func (s *Selection) Keeps(tenant uint32, key []byte) bool {
	return s.KeepsTenant(tenant) && (len(s.Prefixes) == 0 ||
		slices.ContainsFunc(s.Prefixes, func(p []byte) bool { return bytes.HasPrefix(key, p) }))
}

// KeepsTenant says whether the selection holds anything of a tenant.
func (s *Selection) KeepsTenant(tenant uint32) bool {
	return len(s.Tenants) == 0 || slices.Contains(s.Tenants, tenant)
}

// Spread copies what sel keeps of the state in from to the empty vshards to, and
// makes it durable there as the state at LSN last, whose record has the time
// timeMicros. The digest is that of what was read and kept; the one of to, read
// back, must be equal.
func Spread(ctx context.Context, from []*Snapshot, to []*VShard, sel *Selection, last wal.LSN, timeMicros int64) (*Digest, error) {
	if len(from) == 0 || len(to) != sel.VShards {
		return nil, fmt.Errorf("%w: %d vshards to copy to, %d wanted", ErrWrongVShard, len(to), sel.VShards)
	}
	readers := make([]Reader, len(from))
	for i, s := range from {
		readers[i] = s.Reader()
	}
	f, err := NewFanout(to)
	if err != nil {
		return nil, err
	}
	sum := new(Digest)
	for _, e := range to[0].shared.Engines() {
		s, ok := e.(Spreader)
		if !ok {
			return nil, errors.Join(fmt.Errorf("engine: state of engine %q cannot be copied to other vshards", e.Name()), f.Close())
		}
		if err := s.Spread(ctx, readers, sel, sum, f.load); err != nil {
			return nil, errors.Join(fmt.Errorf("copy state of engine %q: %w", e.Name(), err), f.Close())
		}
	}
	if err := f.Finish(last, timeMicros); err != nil {
		return nil, fmt.Errorf("finish copy: %w", err)
	}
	return sum, nil
}

// load adds a stored key as it is.
func (f *Fanout) load(vshard uint16, key, value []byte) error {
	if int(vshard) >= len(f.replays) {
		return fmt.Errorf("%w: %d", ErrWrongVShard, vshard)
	}
	return f.replays[vshard].load(key, value)
}

// load adds a stored key to an empty vshard. It counts once Finish has given it
// an LSN: until then the vshard is at LSN 0, as if nothing were in it.
func (r *Replay) load(key, value []byte) error {
	if r.err != nil {
		return r.err
	}
	if r.batch.last != 0 {
		return fmt.Errorf("%w: it is at LSN %d, and only an empty one can be loaded", ErrWrongVShard, uint64(r.batch.last))
	}
	k, v := r.batch.Set(len(key), len(value))
	copy(k, key)
	copy(v, value)
	if f := r.batch.f; f.bytes() < r.runBytes && f.nOps < r.runOps && !f.full() {
		return nil
	}
	return r.fail(r.spill())
}
