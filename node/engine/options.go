package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// Options of what all vshards of a node share. The zero value works.
type Options struct {
	// FS is the file system of all stores. Default: the operating system's.
	FS vfs.FS

	// CacheBytes is the memory in which all vshards keep what was read from tables:
	// three quarters for uncompressed blocks, one for the values of single keys.
	// Default 64 MiB.
	CacheBytes int64

	// MemtableBytes is the memory in which one vshard keeps what it applied,
	// before it becomes a table. A vshard uses as much again while the table is
	// written, and Admit refuses at five times. Default 64 MiB.
	MemtableBytes int64

	// FrozenBytes bounds the memory of all full memtables that wait to become
	// tables: when it is used up, Admit refuses for vshards that have such. What
	// was logged is applied all the same, so it is passed by what was under way.
	// Default: one and a half memtables for each open vshard.
	FrozenBytes int64

	// ReplayBytes bounds the memory of all replays together. Default 192 MiB.
	ReplayBytes int64

	// OpenFiles bounds how many tables are open at once, over all vshards.
	// Default 1024.
	OpenFiles int

	// Compactions bounds how many compactions run at once, over all vshards.
	// Default 1.
	Compactions int

	// Logger gets what the stores have to say. Default: nothing.
	Logger *slog.Logger

	// Engines apply the records. A record whose type no engine owns, and whose
	// type is required, stops the apply.
	Engines []Engine
}

const (
	cacheBytesDefault    = 64 << 20
	memtableBytesDefault = 64 << 20
	memtableBytesMin     = 1 << 20
	memtableBytesMax     = 1 << 30
	replayBytesDefault   = 192 << 20
	openFilesDefault     = 1024
	openFilesMin         = 16
)

func (o *Options) withDefaults() *Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = cacheBytesDefault
	}
	if c.MemtableBytes == 0 {
		c.MemtableBytes = memtableBytesDefault
	}
	if c.ReplayBytes == 0 {
		c.ReplayBytes = replayBytesDefault
	}
	if c.OpenFiles == 0 {
		c.OpenFiles = openFilesDefault
	}
	if c.Compactions == 0 {
		c.Compactions = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &c
}

func (o *Options) validate() error {
	var errs []error
	if o.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("engine: CacheBytes is negative: %d", o.CacheBytes))
	}
	if o.MemtableBytes < memtableBytesMin || o.MemtableBytes > memtableBytesMax {
		errs = append(errs, fmt.Errorf("engine: MemtableBytes must be %d to %d: %d", memtableBytesMin, memtableBytesMax, o.MemtableBytes))
	}
	if o.FrozenBytes < 0 {
		errs = append(errs, fmt.Errorf("engine: FrozenBytes is negative: %d", o.FrozenBytes))
	}
	if o.ReplayBytes < 0 {
		errs = append(errs, fmt.Errorf("engine: ReplayBytes is negative: %d", o.ReplayBytes))
	}
	if o.OpenFiles < openFilesMin {
		errs = append(errs, fmt.Errorf("engine: OpenFiles must be at least %d: %d", openFilesMin, o.OpenFiles))
	}
	if o.Compactions < 1 {
		errs = append(errs, fmt.Errorf("engine: Compactions must be positive: %d", o.Compactions))
	}
	return errors.Join(errs...)
}

// route finds the engine of each record type. Types are 16 bits wide and few are
// used, so it is a small table from the type's low byte to candidates.
type route struct {
	byType map[wal.Type]Engine
	dense  [256]Engine // required types 0x8000 – 0x80ff
}

func newRoute(engines []Engine) (*route, error) {
	r := &route{byType: make(map[wal.Type]Engine)}
	for t := range 1 << 16 {
		for _, e := range engines {
			if !e.Owns(wal.Type(t)) {
				continue
			}
			if o := r.byType[wal.Type(t)]; o != nil {
				return nil, fmt.Errorf("engine: record type %d is owned by %s and by %s", t, o.Name(), e.Name())
			}
			r.byType[wal.Type(t)] = e
			if t&^0xff == int(wal.RequiredBit) {
				r.dense[t&0xff] = e
			}
		}
	}
	return r, nil
}

func (r *route) engine(t wal.Type) Engine {
	if t&^0xff == wal.RequiredBit {
		return r.dense[t&0xff]
	}
	return r.byType[t]
}

// Known says whether some engine applies records of type t; for wal.Options.
func (s *Shared) Known(t wal.Type) bool { return s.route.engine(t) != nil }

// fileCacheShards spreads the table cache's locks over the CPUs.
func fileCacheShards(cpus int) int { return 1 << bits.Len(uint(max(cpus, 1)-1)) }
