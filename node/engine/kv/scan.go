package kv

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// ScanOptions say which keys of one tenant to scan. The zero value is all keys of
// tenant 0.
type ScanOptions struct {
	Tenant  uint32
	Prefix  []byte // keys must start with it
	From    []byte // first key, inclusive; nil: no limit
	To      []byte // end, exclusive; nil: no limit
	Reverse bool   // from the last key to the first

	// NowMillis hides what has expired.
	NowMillis int64

	// Cursor goes on where another scan stopped; see MergedScan.Cursor.
	Cursor string
}

// bounds returns the range of stored keys, half-open.
func (o *ScanOptions) bounds() (lower, upper []byte) {
	from, to := o.From, o.To
	if bytes.Compare(o.Prefix, from) > 0 {
		from = o.Prefix
	}
	if end := successor(o.Prefix); end != nil && (to == nil || bytes.Compare(end, to) < 0) {
		to = end
	}
	lower = appendEntryKey(nil, spaceEntry, o.Tenant, from)
	if to == nil {
		if o.Tenant == 1<<32-1 {
			return lower, []byte{spaceEntry + 1}
		}
		return lower, appendEntryKey(nil, spaceEntry, o.Tenant+1, nil)
	}
	return lower, appendEntryKey(nil, spaceEntry, o.Tenant, to)
}

// successor returns the first key that is above all keys with the prefix; nil
// when there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := bytes.Clone(prefix[:i+1])
			s[i]++
			return s
		}
	}
	return nil
}

// Scan walks over the keys of one vshard, in order. It is for one goroutine.
//
//	for s.Next() { use(s.Key(), s.Value()) }
//	if err := s.Err(); err != nil { … }
type Scan struct {
	it       *engine.Iterator
	opts     ScanOptions
	started  bool
	valid    bool
	err      error
	key      []byte
	value    []byte
	expireAt int64
	lsn      wal.LSN
}

// NewScan starts a scan; Close it. The Cursor of opts counts here too.
func NewScan(r engine.Reader, opts *ScanOptions) (*Scan, error) {
	o, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	return newScan(r, o)
}

func newScan(r engine.Reader, o ScanOptions) (*Scan, error) {
	lower, upper := o.bounds()
	if bytes.Compare(lower, upper) >= 0 {
		return &Scan{opts: o, started: true}, nil
	}
	it, err := r.NewIter(lower, upper)
	if err != nil {
		return nil, err
	}
	return &Scan{it: it, opts: o}, nil
}

// Next goes to the next key; false at the end and after an error.
func (s *Scan) Next() bool {
	if s.it == nil || s.err != nil {
		return false
	}
	for s.step() {
		if s.load() {
			return true
		}
		if s.err != nil {
			break
		}
	}
	if s.err == nil {
		s.err = s.it.Err()
	}
	s.valid = false
	return false
}

func (s *Scan) step() bool {
	switch {
	case !s.started && s.opts.Reverse:
		s.valid = s.it.Last()
	case !s.started:
		s.valid = s.it.First()
	case !s.valid:
		return false
	case s.opts.Reverse:
		s.valid = s.it.Prev()
	default:
		s.valid = s.it.Next()
	}
	s.started = true
	return s.valid
}

// load reads the entry under the iterator; false when it is to be skipped.
func (s *Scan) load() bool {
	lsn, expireAt, value, err := splitValue(s.it.Value())
	if err != nil {
		s.err = err
		return false
	}
	if expired(expireAt, s.opts.NowMillis) {
		return false
	}
	s.key = s.it.Key()[entryPrefixLen:]
	s.lsn, s.expireAt, s.value = wal.LSN(lsn), expireAt, value
	return true
}

// Key returns the key, valid until the next call of Next.
func (s *Scan) Key() []byte { return s.key }

// Value returns the value, valid until the next call of Next.
func (s *Scan) Value() []byte { return s.value }

// ExpireAt returns when the entry expires, ms since the epoch; 0: never.
func (s *Scan) ExpireAt() int64 { return s.expireAt }

// LSN returns the LSN of the record that wrote the entry.
func (s *Scan) LSN() wal.LSN { return s.lsn }

// Err returns what stopped the scan, or nil.
func (s *Scan) Err() error { return s.err }

// Close ends the scan.
func (s *Scan) Close() error {
	if s.it == nil {
		return nil
	}
	err := s.it.Close()
	s.it = nil
	if s.err == nil {
		s.err = err
	}
	return err
}

// Tenants calls yield with each tenant that has entries, in order, until it
// returns false.
func Tenants(r engine.Reader, yield func(tenant uint32) bool) error {
	it, err := r.NewIter([]byte{spaceEntry}, []byte{spaceEntry + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		t := binary.BigEndian.Uint32(it.Key()[1:])
		if !yield(t) || t == 1<<32-1 {
			break
		}
		ok = it.SeekGE(appendEntryKey(nil, spaceEntry, t+1, nil))
	}
	return errors.Join(it.Err(), it.Close())
}
