package pitr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Caller mistakes with standbys.
var (
	// ErrNotStandby: the directory is a node already.
	ErrNotStandby = errors.New("pitr: directory is no standby")
	// ErrFollowed: another process follows into the directory, or promotes it.
	ErrFollowed = errors.New("pitr: another process works on this standby")
)

// A standby is a directory that follows an archive, held by this process:
//
//	<dir>/
//	    standby.json        who is followed; node.json takes its place in a promotion
//	    vshard/ wal/        the node to be
//	    LOCK PID            held while the vshards are open, by whoever opens them
//	    follow/LOCK PID     held by the process that follows or promotes
//	    follow/status.json  how far it is; for people, never synced
//
// Between two rounds of replay the vshards are closed, so that readers get their
// turn.
type standby struct {
	opts  *Options
	dir   string
	lock  io.Closer
	state *engine.Standby

	// Applied by all vshards, and by any of them: they differ after a crash in
	// the middle of a round, until the next one.
	low, high wal.LSN
	micros    int64 // time of the record high, since the Unix epoch
}

const followSubdir = "follow"

// isStandby tells whether dir is a standby. A node is an error: it is never
// taken for something that may be written to.
func isStandby(fs vfs.FS, dir string) (bool, error) {
	_, err := fs.Stat(fs.PathJoin(dir, engine.MetaFile))
	if err == nil {
		return false, fmt.Errorf("%w: %s is a node of its own: it was promoted, or never followed anything", ErrNotStandby, dir)
	}
	if !oserror.IsNotExist(err) {
		return false, fmt.Errorf("look for %s: %w", engine.MetaFile, err)
	}
	_, err = fs.Stat(fs.PathJoin(dir, engine.StandbyFile))
	if err != nil && !oserror.IsNotExist(err) {
		return false, fmt.Errorf("look for %s: %w", engine.StandbyFile, err)
	}
	return err == nil, nil
}

// openStandby takes a standby over. It changes nothing in it but what a restore
// left to clean up.
func openStandby(o *Options, dir string) (_ *standby, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve standby directory: %w", err)
	}
	s := &standby{opts: o, dir: abs}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	is, err := isStandby(o.FS, abs)
	if err == nil && !is {
		_, err = engine.ReadStandby(o.FS, abs) // says what is missing
	}
	if err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(s.path(followSubdir), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of the follower: %w", err)
	}
	if s.lock, err = engine.LockDir(o.FS, s.path(followSubdir)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFollowed, err)
	}
	// Only under the lock does it stay what it is.
	if _, err := isStandby(o.FS, abs); err != nil {
		return nil, err
	}
	if s.state, err = engine.ReadStandby(o.FS, abs); err != nil {
		return nil, err
	}
	if err := o.FS.RemoveAll(s.path(stageSubdir)); err != nil {
		return nil, fmt.Errorf("remove restore journal: %w", err)
	}
	return s, s.withStores(func(*engine.Shared, []*engine.VShard) error { return nil })
}

func (s *standby) path(elem ...string) string {
	return s.opts.FS.PathJoin(append([]string{s.dir}, elem...)...)
}

// withStores opens the vshards for do, and notes how far they are afterwards.
// ErrLocked while somebody reads.
func (s *standby) withStores(do func(*engine.Shared, []*engine.VShard) error) (err error) {
	lock, err := engine.LockDir(s.opts.FS, s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	shared, vshards, err := openAll(s.opts, s.path("vshard"), s.state.VShards)
	defer func() { err = errors.Join(err, closeAll(shared, vshards)) }()
	if err != nil {
		return err
	}
	defer func() {
		s.low, s.high = lsnEnd, 0
		for _, v := range vshards {
			s.low = min(s.low, v.Applied())
			if v.Applied() >= s.high {
				s.high, s.micros = v.Applied(), v.AppliedTime()
			}
		}
	}()
	return do(shared, vshards)
}

// expect notes durably what the next round takes into account, before it
// begins: whatever of the round is there after a crash was chosen by that.
func (s *standby) expect(epoch wal.Epoch, leaf wal.Timeline) error {
	if s.state.Epoch == epoch && s.state.Timeline == leaf {
		return nil
	}
	next := *s.state
	next.Epoch, next.Timeline = epoch, leaf
	if err := engine.WriteStandby(s.opts.FS, s.dir, &next); err != nil {
		return err
	}
	s.state = &next
	return nil
}

// replay applies the segments of a plan. Crash here: the vshards are at
// different LSNs, and the next round begins at the lowest.
func (s *standby) replay(ctx context.Context, plan *Plan, prev *decoded, m *meter) (*replayer, error) {
	var rp *replayer
	err := s.withStores(func(_ *engine.Shared, vshards []*engine.VShard) error {
		rp = newReplayer(s.opts, plan, vshards, m)
		rp.prev = prev
		return rp.run(ctx)
	})
	return rp, err
}

// Close lets others work on the standby.
func (s *standby) Close() error {
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.Close()
}
