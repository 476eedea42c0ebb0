package kv

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/nodedb-go/nodedb/node/engine"
)

var _ engine.Spreader = Engine{}

// Spread is part of engine.Spreader. Entries go where their keys belong. The
// outcome of a request does not say whose key it was, so it goes to every vshard
// where keys of the old one can be; for the same reason a copy of some prefixes
// has no outcomes. Both indexes are made anew.
func (Engine) Spread(ctx context.Context, from []engine.Reader, sel *engine.Selection, d *engine.Digest, put func(vshard uint16, key, value []byte) error) error {
	s := &spread{ctx: ctx, from: from, sel: sel, put: put, digest: d, entry: []byte(digestMark)}
	for i, r := range from {
		if err := s.walk(r, spaceEntry, s.copyEntry); err != nil {
			return err
		}
		if len(sel.Prefixes) > 0 {
			continue
		}
		err := s.walk(r, spaceOutcome, func(k, v []byte) error { return s.copyOutcome(i, k, v) })
		if err != nil {
			return err
		}
	}
	return nil
}

type spread struct {
	ctx    context.Context
	from   []engine.Reader
	sel    *engine.Selection
	put    func(vshard uint16, key, value []byte) error
	digest *engine.Digest
	entry  []byte // for the digest; reused
	index  []byte // reused
}

// walk gives every key of a space to do.
func (s *spread) walk(r engine.Reader, space byte, do func(key, value []byte) error) error {
	const keysPerCheck = 4096
	it, err := r.NewIter([]byte{space}, []byte{space + 1})
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if n++; n%keysPerCheck == 0 && s.ctx.Err() != nil {
			err = context.Cause(s.ctx)
			break
		}
		if len(it.Key()) < entryPrefixLen {
			err = malformed("stored key without a tenant")
			break
		}
		err = do(it.Key(), it.Value())
	}
	return errors.Join(err, it.Err(), it.Close())
}

func (s *spread) copyEntry(k, v []byte) error {
	tenant, key := binary.BigEndian.Uint32(k[1:]), k[entryPrefixLen:]
	if !s.sel.Keeps(tenant, key) {
		return nil
	}
	_, expireAt, value, err := splitValue(v)
	if err != nil {
		return err
	}
	s.entry = appendDigestEntry(s.entry, tenant, key, expireAt, value)
	s.digest.AddEntry(s.entry)
	to := VShardOf(key, s.sel.VShards)
	if err := s.put(to, k, v); err != nil || expireAt == 0 {
		return err
	}
	s.index = appendIndexKey(s.index[:0], spaceDue, dueMillis(expireAt), tenant, key)
	return s.put(to, s.index, nil)
}

// copyOutcome copies what source i holds. Where several sources meet in one
// vshard and know the same idempotency key, the latest request counts.
func (s *spread) copyOutcome(i int, k, v []byte) error {
	tenant, idem := binary.BigEndian.Uint32(k[1:]), k[entryPrefixLen:]
	if !s.sel.KeepsTenant(tenant) {
		return nil
	}
	if len(v) < outcomePrefixLen {
		return malformed("stored outcome is cut")
	}
	lsn, micros := binary.LittleEndian.Uint64(v), int64(binary.LittleEndian.Uint64(v[8:]))
	s.index = appendIndexKey(s.index[:0], spaceOutcomes, micros, tenant, idem)
	first, last := overlap(i, len(s.from), s.sel.VShards)
	for to := first; to <= last; to++ {
		newer, err := s.newerOutcome(i, to, tenant, idem, lsn)
		if err != nil {
			return err
		}
		if newer {
			continue
		}
		if err := errors.Join(s.put(uint16(to), k, v), s.put(uint16(to), s.index, nil)); err != nil {
			return err
		}
	}
	return nil
}

// newerOutcome says whether another source of vshard to has a later outcome.
func (s *spread) newerOutcome(i, to int, tenant uint32, idem []byte, lsn uint64) (bool, error) {
	first, last := overlap(to, s.sel.VShards, len(s.from))
	for j := first; j <= last; j++ {
		if j == i {
			continue
		}
		o, found, err := FindOutcome(s.from[j], tenant, idem)
		if err != nil || found && uint64(o.LSN) > lsn {
			return true, err
		}
	}
	return false, nil
}

// overlap is which of m equal ranges of the hash meet range i of n.
func overlap(i, n, m int) (first, last int) { return i * m / n, ((i+1)*m - 1) / n }
