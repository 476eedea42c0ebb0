package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/wal"
)

// VShard is one store and the engines' state in it.
type VShard struct {
	// immutable
	shared *Shared
	dir    string
	id     uint16
	log    *slog.Logger

	// Owned by the core.
	states []*stateSlot
	front  *front // that takes changes; nil: none yet. view.active, or newer

	// applied only grows while a store is open; one writer (the core), many
	// readers. It is stored after the batch that reached it is visible.
	applied     atomic.Uint64
	appliedTime atomic.Int64

	viewMu sync.Mutex // held while view is replaced
	view   atomic.Pointer[view]

	gate   gate   // readers of store
	store  *store // replaced by Reopen, with the gate shut
	wg     sync.WaitGroup
	closed atomic.Bool

	spiller   spiller
	admission admission
}

// store is one opening of the Pebble database.
type store struct {
	db    *pebble.DB
	opts  *pebble.Options
	fence *fence
	sched *compactor

	changed atomic.Bool // tables came or went since Admit looked
}

var (
	keyApplied  = []byte{0x00, 'a'}
	keyIdentity = []byte{0x00, 'v'}
)

const storeFormat = 1

// OpenVShard opens the store in dir, or makes it. What an earlier run applied and
// did not flush is not in it: apply the records after Flushed again.
//
// Errors: *CorruptError, ErrWrongVShard, ErrNewerFormat, and those of the file
// system.
func OpenVShard(shared *Shared, dir string, id uint16) (*VShard, error) {
	if shared == nil {
		return nil, errNoShared
	}
	v := &VShard{
		shared: shared,
		dir:    dir,
		id:     id,
		log:    shared.opts.Logger.With("vshard", id),
	}
	v.gate.left = make(chan struct{}, 1)
	if err := v.openStore(); err != nil {
		return nil, err
	}
	shared.open.Add(1)
	return v, nil
}

func (v *VShard) openStore() (err error) {
	fs := newFence(v.shared.opts.FS)
	s := &store{fence: fs, sched: v.shared.compactions.member()}
	if err := makeDir(fs, v.dir); err != nil {
		return fmt.Errorf("make directory of vshard: %w", err)
	}
	if err := removeUnfinished(fs, v.dir); err != nil {
		return fmt.Errorf("remove unfinished tables: %w", err)
	}
	s.opts = v.shared.pebbleOptions(fs, s.sched)
	s.opts.Logger = &storeLogger{v: v, s: s}
	s.opts.EventListener = v.listener(s)
	s.db, err = pebble.Open(v.dir, s.opts)
	if err != nil {
		return v.openError(err)
	}
	v.store = s
	defer func() {
		if err != nil {
			close(fs.closing)
			err = errors.Join(err, s.db.Close())
		}
	}()
	if err := v.storeErr(); err != nil {
		return err
	}
	if err := v.checkIdentity(s.db); err != nil {
		return err
	}
	lsn, micros, err := readApplied(s.db)
	if err != nil {
		return v.Damage(fmt.Errorf("read applied lsn: %w", err))
	}
	v.front = nil
	v.view.Store(&view{gen: v.shared.generation.Add(1), mark: mark{lsn: uint64(lsn), time: micros}})
	v.applied.Store(uint64(lsn))
	v.appliedTime.Store(micros)
	s.changed.Store(true)
	return v.openStates(s.db)
}

func (v *VShard) openError(err error) error {
	if newerStore(v.shared.opts.FS, v.dir) {
		return fmt.Errorf("open store %s: %w: %w", v.dir, ErrNewerFormat, err)
	}
	damage := v.Damage(err)
	if _, ok := errors.AsType[*CorruptError](damage); ok {
		return damage
	}
	return fmt.Errorf("open store %s: %w", v.dir, err)
}

// newerStore looks for the marker that tells the format of a Pebble store. Pebble
// has no class of error for a format that it does not know.
func newerStore(fs vfs.FS, dir string) bool {
	names, err := fs.List(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		// marker.format-version.<6 digits>.<format>
		rest, ok := strings.CutPrefix(name, "marker.format-version.")
		if !ok {
			continue
		}
		_, format, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(format); err == nil && n > int(pebble.FormatNewest) {
			return true
		}
	}
	return false
}

// makeDir makes dir and syncs its parent, so that a crash cannot take the
// directory away from files that were synced in it.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return durable.SyncDir(fs, fs.PathDir(dir))
}

// checkIdentity refuses the store of another vshard: applying one vshard's log
// to another's files would mix two histories.
func (v *VShard) checkIdentity(db *pebble.DB) error {
	return v.Damage(checkIdentity(db, v.dir, v.id))
}

func checkIdentity(db pebble.Reader, dir string, id uint16) error {
	b, closer, err := db.Get(keyIdentity)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil // a store without tables; the first one names it
	}
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	defer closer.Close()
	if len(b) != 4 {
		return &CorruptError{Path: dir, VShard: id, Err: fmt.Errorf("identity has %d bytes", len(b))}
	}
	if f := binary.LittleEndian.Uint16(b[0:]); f > storeFormat {
		return fmt.Errorf("open store %s: %w: store format %d, this version reads %d", dir, ErrNewerFormat, f, storeFormat)
	}
	if got := binary.LittleEndian.Uint16(b[2:]); got != id {
		return fmt.Errorf("open store %s: %w: it is vshard %04x, not %04x", dir, ErrWrongVShard, got, id)
	}
	return nil
}

func (v *VShard) identity() []byte {
	id := binary.LittleEndian.AppendUint16(nil, storeFormat)
	return binary.LittleEndian.AppendUint16(id, v.id)
}

func (m mark) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, m.lsn)
	return binary.LittleEndian.AppendUint64(b, uint64(m.time))
}

func readApplied(r pebble.Reader) (wal.LSN, int64, error) {
	b, closer, err := r.Get(keyApplied)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer closer.Close()
	return decodeApplied(b)
}

func decodeApplied(b []byte) (wal.LSN, int64, error) {
	if len(b) != 16 {
		return 0, 0, fmt.Errorf("applied lsn has %d bytes: %w", len(b), pebble.ErrCorruption)
	}
	return wal.LSN(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:])), nil
}

// ID returns the number of the vshard.
func (v *VShard) ID() uint16 { return v.id }

// Dir returns the directory of the store.
func (v *VShard) Dir() string { return v.dir }

// Applied returns the LSN of the last record that readers see.
func (v *VShard) Applied() wal.LSN { return wal.LSN(v.applied.Load()) }

// AppliedTime returns the time of the record at Applied, µs since the epoch.
func (v *VShard) AppliedTime() int64 { return v.appliedTime.Load() }

// Err returns the *StoreError of a store that stopped, or nil.
func (v *VShard) Err() error {
	ref, err := v.Acquire()
	if err != nil {
		return err
	}
	defer ref.Release()
	return v.storeErr()
}

// storeErr is Err for those that hold the store already.
func (v *VShard) storeErr() error {
	if err := v.store.fence.err(); err != nil {
		return &StoreError{Path: v.dir, VShard: v.id, Err: err}
	}
	return nil
}

// Close closes the store without flushing it. It waits for readers, snapshots and
// iterators that hold the vshard, and for flushes under way; a second Close does
// nothing.
func (v *VShard) Close() error {
	if v.closed.Swap(true) {
		return nil
	}
	err := v.closeStore()
	v.shared.open.Add(-1)
	return err
}

func (v *VShard) closeStore() error {
	close(v.store.fence.closing) // what waits to try again gives up
	v.gate.shut()
	v.wg.Wait()
	v.spiller.failed(ErrClosed, true)
	v.spiller = spiller{}
	v.front = nil
	for _, f := range v.view.Load().frozen {
		v.shared.frozen.Add(-int64(f.used))
	}
	v.view.Store(&view{mark: v.view.Load().mark})
	var errs []error
	for _, s := range v.states {
		errs = append(errs, s.state.Close())
	}
	v.states = nil
	err := v.store.db.Close()
	if v.store.fence.err() != nil {
		// A stopped store cannot close its files properly, and need not.
		err = nil
	}
	return errors.Join(append(errs, err)...)
}

// Reopen throws away what is in memory and opens the store again as it is on
// disk; after it Applied is what was flushed, and the records above must be
// applied again. It is the answer to a panic inside an apply, and to a stopped
// store. The core must hold no batch; readers are waited for, as in Close.
func (v *VShard) Reopen() error {
	if v.closed.Load() {
		return ErrClosed
	}
	if err := v.closeStore(); err != nil {
		v.log.Warn("close store before reopening it", "err", err)
	}
	if err := v.openStore(); err != nil {
		v.closed.Store(true)
		v.shared.open.Add(-1)
		return fmt.Errorf("reopen: %w", err)
	}
	v.gate.open()
	return nil
}

// Ref is the right to read a vshard's store until Release.
type Ref struct {
	v      *VShard
	stripe uint8
}

// Acquire gives access to the store. It never blocks; ErrClosed means that the
// vshard is closed or being reopened. Close waits until the Ref is released, so
// hold it briefly, or use a Snapshot and close that.
func (v *VShard) Acquire() (Ref, error) {
	s, ok := v.gate.enter()
	if !ok {
		return Ref{}, ErrClosed
	}
	return Ref{v: v, stripe: s}, nil
}

// Reader returns what is applied now.
func (r Ref) Reader() Reader { return (*live)(r.v) }

// Release gives the Ref back; exactly once.
func (r Ref) Release() { r.v.gate.leave(r.stripe) }
