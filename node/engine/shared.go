package engine

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Shared is what the vshards of one node have in common: caches, limits, the
// engines. Close it after its vshards.
type Shared struct {
	opts        *Options
	route       *route
	cache       *pebble.Cache
	rows        rows
	files       *pebble.FileCache
	compactions *compactions
	// One token per table that may be written at once: in live use few, for the
	// cores want the CPUs; in a replay nobody else does.
	spills  chan struct{}
	replays chan struct{}

	generation atomic.Uint64 // of views, the last that was given out

	frozen  atomic.Int64 // bytes of all fronts that wait to become tables
	open    atomic.Int32 // vshards
	closeMu sync.Mutex
	closed  bool
}

// NewShared makes what the vshards of a node share. opts may be nil.
func NewShared(opts *Options) (*Shared, error) {
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	r, err := newRoute(o.Engines)
	if err != nil {
		return nil, err
	}
	cpus := runtime.GOMAXPROCS(0)
	rows := o.CacheBytes / rowsShare
	s := &Shared{
		opts:        o,
		route:       r,
		cache:       pebble.NewCache(o.CacheBytes - rows + emptyMemtables),
		files:       pebble.NewFileCache(fileCacheShards(cpus), o.OpenFiles),
		compactions: newCompactions(o.Compactions),
		spills:      make(chan struct{}, max(1, cpus/2)),
		replays:     make(chan struct{}, cpus),
	}
	s.rows.limit = rows
	return s, nil
}

// Engines returns the engines, in the order of Options.
func (s *Shared) Engines() []Engine { return s.opts.Engines }

// Close frees the caches. All vshards must be closed.
func (s *Shared) Close() error {
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	if s.closed {
		return nil
	}
	if n := s.open.Load(); n != 0 {
		return fmt.Errorf("engine: close shared caches: %d vshards are open", n)
	}
	s.closed = true
	s.files.Unref()
	s.cache.Unref()
	return nil
}

const (
	l0CompactionFiles   = 64
	l0CompactionDepth   = 4
	l0StopDepth         = 1000      // Admit refuses long before
	memtableBytesPebble = 256 << 10 // stays empty, see front
	emptyMemtables      = 4 << 20   // Pebble takes memtables out of its cache limit
	maxManifestBytes    = 16 << 20
	blockBytes          = 8 << 10
	indexBlockBytes     = 64 << 10
	bloomBitsPerKey     = 10
	l0TargetFileBytes   = 8 << 20
	baseLevelBytes      = 64 << 20
	bytesPerSync        = 1 << 20
)

// pebbleOptions of one store. fs and sched are the store's own.
func (s *Shared) pebbleOptions(fs *fence, sched *compactor) *pebble.Options {
	o := &pebble.Options{
		FS:                         fs,
		Cache:                      s.cache,
		FileCache:                  s.files,
		DisableWAL:                 true,
		FormatMajorVersion:         pebble.FormatNewest,
		MemTableSize:               memtableBytesPebble,
		L0CompactionThreshold:      l0CompactionDepth,
		L0CompactionFileThreshold:  l0CompactionFiles,
		L0StopWritesThreshold:      l0StopDepth,
		LBaseMaxBytes:              baseLevelBytes,
		BytesPerSync:               bytesPerSync,
		MaxManifestFileSize:        maxManifestBytes,
		MaxOpenFiles:               s.opts.OpenFiles,
		CompactionConcurrencyRange: func() (int, int) { return 1, s.opts.Compactions },
	}
	o.Experimental.CompactionScheduler = sched
	o.TargetFileSizes[0] = l0TargetFileBytes
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = blockBytes
		l.IndexBlockSize = indexBlockBytes
		l.FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
		l.Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	return o
}

var errNoShared = errors.New("engine: OpenVShard needs a Shared")
