package kv

import (
	"bytes"
	"errors"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// MergedScan walks over the keys of many vshards as if they were one, in order.
// It is for one goroutine.
//
// Invariant: heap[0] is the scan that stands on the current key, once Next was
// called; the other scans stand on keys that come later.
type MergedScan struct {
	opts    ScanOptions
	scans   []*Scan
	heap    []*Scan
	started bool
	ended   bool
	last    []byte // of the last key that Next went to
	err     error
}

// NewMergedScan starts a scan over readers, which are of different vshards and
// should be snapshots of one moment. Close it; the readers are the caller's.
// ErrBadCursor when opts.Cursor is not of a scan like this one.
func NewMergedScan(readers []engine.Reader, opts *ScanOptions) (*MergedScan, error) {
	o, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	m := &MergedScan{opts: o}
	for _, r := range readers {
		s, err := newScan(r, o)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.scans = append(m.scans, s)
	}
	return m, nil
}

// Next goes to the next key; false at the end and after an error.
func (m *MergedScan) Next() bool {
	if m.ended {
		return false
	}
	if !m.started {
		m.started = true
		for _, s := range m.scans {
			if s.Next() {
				m.heap = append(m.heap, s)
			} else if s.Err() != nil {
				return m.end(s.Err())
			}
		}
		for i := len(m.heap)/2 - 1; i >= 0; i-- {
			m.down(i)
		}
	} else if !m.advance() {
		return m.end(m.heap[0].Err())
	}
	if len(m.heap) == 0 {
		return m.end(nil)
	}
	m.last = append(m.last[:0], m.heap[0].Key()...)
	return true
}

// advance moves the scan on top of the heap to its next key.
func (m *MergedScan) advance() bool {
	top := m.heap[0]
	if !top.Next() {
		if top.Err() != nil {
			return false
		}
		n := len(m.heap) - 1
		m.heap[0] = m.heap[n]
		m.heap = m.heap[:n]
	}
	m.down(0)
	return true
}

func (m *MergedScan) end(err error) bool {
	m.ended, m.err = true, err
	return false
}

func (m *MergedScan) less(i, j int) bool {
	c := bytes.Compare(m.heap[i].key, m.heap[j].key)
	if m.opts.Reverse {
		return c > 0
	}
	return c < 0
}

func (m *MergedScan) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.heap) {
			return
		}
		if child+1 < len(m.heap) && m.less(child+1, child) {
			child++
		}
		if !m.less(child, i) {
			return
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}

// Key returns the key, valid until the next call of Next.
func (m *MergedScan) Key() []byte { return m.heap[0].Key() }

// Value returns the value, valid until the next call of Next.
func (m *MergedScan) Value() []byte { return m.heap[0].Value() }

// ExpireAt returns when the entry expires, ms since the epoch; 0: never.
func (m *MergedScan) ExpireAt() int64 { return m.heap[0].ExpireAt() }

// LSN returns the LSN of the record that wrote the entry.
func (m *MergedScan) LSN() wal.LSN { return m.heap[0].LSN() }

// Err returns what stopped the scan, or nil.
func (m *MergedScan) Err() error { return m.err }

// Cursor returns a string that ScanOptions.Cursor takes to go on after the
// current key, now or later, also after a restart: it holds the key and no state.
// Empty before the first Next.
func (m *MergedScan) Cursor() string {
	if m.last == nil {
		return m.opts.Cursor
	}
	return encodeCursor(m.opts.Tenant, m.opts.Reverse, m.last)
}

// Close ends the scan.
func (m *MergedScan) Close() error {
	m.ended = true
	var errs []error
	for _, s := range m.scans {
		errs = append(errs, s.Close())
	}
	m.scans = nil
	return errors.Join(errs...)
}
