package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// A Standby is a directory that follows another node's archive, open for reading.
// It is the state at one LSN and stays so: the follower, which has the directory
// open only while it applies something, waits until the standby is closed. So
// open it for a short time, or again and again.
type Standby struct {
	// Immutable after OpenStandby.
	dir    string
	opts   *Options
	meta   *engine.Standby
	lock   io.Closer
	shared *engine.Shared
	shards []*engine.VShard
	lsn    wal.LSN
	micros int64

	calls gate // callers inside; shut by Close. An open scanner is one
}

// standbyRetry is how often OpenStandby looks whether the follower is done.
const standbyRetry = 20 * time.Millisecond

// OpenStandby opens a standby for reading. It waits as long as ctx allows while a
// follower applies what has arrived. Of the options only those of reading count.
//
// Errors: ErrLocked, ErrNotANode when there is no standby, and ErrStandbyTorn when
// a follower was killed in the middle of a round: it must run again first.
func OpenStandby(ctx context.Context, dir string, options *Options) (_ *Standby, err error) {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Standby{dir: dir, opts: o}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open standby %s: %w", dir, err), s.closeStores())
		}
	}()
	if _, err := engine.ReadStandby(o.FS, dir); err != nil {
		return nil, err // no lock is put where no standby is
	}
	if err := s.takeLock(ctx); err != nil {
		return nil, err
	}
	if s.meta, err = engine.ReadStandby(o.FS, dir); err != nil {
		return nil, err
	}
	s.shared, err = newShared(o)
	if err != nil {
		return nil, err
	}
	for id := range s.meta.VShards {
		v, err := engine.OpenVShard(s.shared, o.FS.PathJoin(dir, vshardDir, fmt.Sprintf("%04x", id)), uint16(id))
		if err != nil {
			return nil, fmt.Errorf("open vshard %04x: %w", id, err)
		}
		s.shards = append(s.shards, v)
	}
	if err := s.checkWhole(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Standby) takeLock(ctx context.Context) error {
	tick := time.NewTicker(standbyRetry)
	defer tick.Stop()
	for {
		var err error
		if s.lock, err = engine.LockDir(s.opts.FS, s.dir); !errors.Is(err, ErrLocked) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// checkWhole finds the LSN of the state: a round that was cut off leaves vshards
// at different ones, which is no state that the node ever had.
func (s *Standby) checkWhole() error {
	s.lsn, s.micros = s.shards[0].Applied(), s.shards[0].AppliedTime()
	for _, v := range s.shards {
		if v.Applied() != s.lsn {
			return fmt.Errorf("%w: its follower was stopped while it applied LSNs up to %d; let it catch up: pitr-restore restore --follow --once --target-dir %s",
				ErrStandbyTorn, max(s.lsn, v.Applied()), s.dir)
		}
	}
	return nil
}

// ID is the node that is followed.
func (s *Standby) ID() string { return s.meta.NodeID }

// LSN is the last record that the state contains, and its time.
func (s *Standby) LSN() (wal.LSN, time.Time) { return s.lsn, time.UnixMicro(s.micros).UTC() }

// Digest computes the digest of the state, which nothing logs.
func (s *Standby) Digest(ctx context.Context) (DigestResult, error) {
	cut, err := s.cut()
	if err != nil {
		return DigestResult{}, err
	}
	defer s.calls.leave()
	defer cut.Close()
	d, err := digestCut(ctx, cut)
	if err != nil {
		return DigestResult{}, err
	}
	return digestResult(cut, d), nil
}

// cut takes one snapshot per vshard and lets the caller in.
func (s *Standby) cut() (*Cut, error) {
	if !s.calls.enter() {
		return nil, ErrClosed
	}
	cut := &Cut{LSN: s.lsn, Micros: s.micros, Snapshots: make([]*engine.Snapshot, len(s.shards))}
	for i, v := range s.shards {
		var err error
		if cut.Snapshots[i], err = v.Snapshot(); err != nil {
			cut.Close()
			s.calls.leave()
			return nil, err
		}
	}
	return cut, nil
}

// Close waits for calls and open scanners, and lets the follower go on.
func (s *Standby) Close() error {
	if s.lock == nil {
		return nil
	}
	<-s.calls.shut()
	return s.closeStores()
}

func (s *Standby) closeStores() error {
	var errs []error
	for _, v := range s.shards {
		errs = append(errs, v.Close())
	}
	if s.shared != nil {
		errs = append(errs, s.shared.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	s.shards, s.shared, s.lock = nil, nil, nil
	return errors.Join(errs...)
}

// A StandbyDB is one tenant's keys in a standby.
type StandbyDB struct {
	standby *Standby
	tenant  uint32
}

// Tenant returns the handle of a tenant's key space.
func (s *Standby) Tenant(id uint32) *StandbyDB { return &StandbyDB{s, id} }

// Lookup returns the entry of key, or ErrNotFound.
func (db *StandbyDB) Lookup(ctx context.Context, key []byte) (Entry, error) {
	s := db.standby
	if err := errors.Join(ctx.Err(), kv.CheckKey(key)); err != nil {
		return Entry{}, err
	}
	if !s.calls.enter() {
		return Entry{}, ErrClosed
	}
	defer s.calls.leave()
	return kv.Read(s.shards[kv.VShardOf(key, len(s.shards))], db.tenant, key, s.opts.Clock().UnixMilli())
}

// Get returns the value of key, or ErrNotFound. The slice is the caller's.
func (db *StandbyDB) Get(ctx context.Context, key []byte) ([]byte, error) {
	e, err := db.Lookup(ctx, key)
	return e.Value, err
}

// Scan begins a scan of the tenant's keys. It is always consistent: the state is
// at one LSN.
func (db *StandbyDB) Scan(ctx context.Context, o ScanOptions) (*Scanner, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cut, err := db.standby.cut()
	if err != nil {
		return nil, err
	}
	return newScanner(cut, db.tenant, o, db.standby.opts.Clock().UnixMilli(), db.standby.calls.leave)
}
