package node

import (
	"context"
	"errors"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// ScanOptions select the keys of a scan; the zero value is all of them.
type ScanOptions struct {
	Prefix  []byte // keys that begin with it
	From    []byte // first key, inclusive; nil: from the first
	To      []byte // end, exclusive; nil: to the last
	Limit   int    // at most so many keys; 0: all
	Reverse bool
	// Cursor goes on behind the key at which [Scanner.Cursor] was taken, also
	// after a restart and in another scan.
	Cursor string
	// Consistent scans the state at exactly one LSN over all vshards; see
	// [Scanner.LSN]. Otherwise each vshard is seen as it was when the scan
	// began, which is cheaper and holds every write acknowledged before.
	Consistent bool
	// Stored also yields entries whose time to live has passed but that no
	// logged record has removed yet: what a digest covers.
	Stored bool
}

// A Scanner walks keys in order over all vshards. It holds snapshots: close it.
// It is not safe for concurrent use.
type Scanner struct {
	release func() // gives the scan's place inside back; nil once closed
	cut     *Cut
	scan    *kv.MergedScan
	limit   int
	n       int
}

// Scan begins a scan of the tenant's keys.
//
//	s, err := db.Scan(ctx, node.ScanOptions{Prefix: []byte("user/")})
//	defer s.Close()
//	for s.Next() { use(s.Key(), s.Value()) }
//	err = s.Err()
func (db *DB) Scan(ctx context.Context, o ScanOptions) (*Scanner, error) {
	n := db.node
	if err := n.begin(); err != nil {
		return nil, err
	}
	// Inside until the scanner is closed: Close waits for it.
	cut, err := n.snapshots(ctx, o.Consistent)
	if err != nil {
		n.end()
		return nil, err
	}
	n.scanners.Add(1)
	return newScanner(cut, db.tenant, o, n.nowMillis(), func() {
		n.scanners.Add(-1)
		n.end()
	})
}

// newScanner walks over a cut, which it owns; release is called when it is
// closed, or with an error.
func newScanner(cut *Cut, tenant uint32, o ScanOptions, nowMillis int64, release func()) (*Scanner, error) {
	readers := make([]engine.Reader, len(cut.Snapshots))
	for i, s := range cut.Snapshots {
		readers[i] = s.Reader()
	}
	opts := kv.ScanOptions{Tenant: tenant, Prefix: o.Prefix, From: o.From, To: o.To, Reverse: o.Reverse, Cursor: o.Cursor}
	if !o.Stored {
		opts.NowMillis = nowMillis
	}
	scan, err := kv.NewMergedScan(readers, &opts)
	if err != nil {
		cut.Close()
		release()
		return nil, err
	}
	return &Scanner{release: release, cut: cut, scan: scan, limit: o.Limit}, nil
}

// snapshots takes one snapshot per vshard, at one LSN if they are to be
// consistent.
func (n *Node) snapshots(ctx context.Context, consistent bool) (*Cut, error) {
	if consistent {
		return n.takeConsistentCut(ctx)
	}
	cut := &Cut{Snapshots: make([]*engine.Snapshot, len(n.shards))}
	for i, s := range n.shards {
		err := s.intact(func() (err error) {
			if cut.Snapshots[i] != nil {
				_ = cut.Snapshots[i].Close() // of before the outage
			}
			cut.Snapshots[i], err = s.v.Snapshot()
			return err
		})
		if err != nil {
			cut.Close()
			if errors.Is(err, engine.ErrClosed) {
				err = s.failure()
			}
			return nil, err
		}
	}
	return cut, nil
}

// Next goes to the next key and reports whether there is one.
func (s *Scanner) Next() bool {
	if s.limit > 0 && s.n >= s.limit || !s.scan.Next() {
		return false
	}
	s.n++
	return true
}

// Key returns the current key, valid until the next call of Next.
func (s *Scanner) Key() []byte { return s.scan.Key() }

// Value returns the current value, valid until the next call of Next.
func (s *Scanner) Value() []byte { return s.scan.Value() }

// ExpireAt returns the current entry's expiry in ms since the Unix epoch, 0 for never.
func (s *Scanner) ExpireAt() int64 { return s.scan.ExpireAt() }

// EntryLSN returns the LSN of the record that wrote the current entry.
func (s *Scanner) EntryLSN() wal.LSN { return s.scan.LSN() }

// LSN is the LSN of a consistent scan, 0 otherwise.
func (s *Scanner) LSN() wal.LSN { return s.cut.LSN }

// Cursor returns what ScanOptions.Cursor takes to go on behind the current key.
func (s *Scanner) Cursor() string { return s.scan.Cursor() }

// Err returns what stopped the scan, or nil at its end.
func (s *Scanner) Err() error { return s.scan.Err() }

// Close releases the scan's snapshots. A second Close does nothing.
func (s *Scanner) Close() error {
	if s.release == nil {
		return nil
	}
	err := s.scan.Close()
	s.cut.Close()
	s.release()
	s.release = nil
	return err
}
