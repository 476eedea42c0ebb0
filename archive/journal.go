package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	journalName     = "journal.log"
	journalRoom     = 256 << 10 // preallocated at least, so that a full disk does not stop it
	journalBytesMax = 64 << 20
)

// Kinds of journal lines.
const (
	lineUploading = "uploading" // a create of Key, with Proof, is about to be sent
	lineUploaded  = "uploaded"  // the store acknowledged Key, with Proof
	lineVerified  = "verified"  // Key is proven to be in the store
	lineShed      = "shed"      // First to Last is given up for the store
	lineDeclared  = "declared"  // the gap object of First to Last exists
	lineMissed    = "missed"    // from First on the store lacks what the WAL no longer has
	lineArchived  = "archived"  // all up to Last is in the store: truncatable for it
)

// journalLine is one line of the journal. Key is relative to the node prefix.
type journalLine struct {
	Kind     string       `json:"kind"`
	Store    string       `json:"store"` // URL, without credentials
	Timeline wal.Timeline `json:"timeline"`
	First    wal.LSN      `json:"first,omitempty"`
	Last     wal.LSN      `json:"last"`
	Key      string       `json:"key,omitempty"`
	Proof    *proof       `json:"proof,omitempty"`
}

// object is the key that the line names, and whether it is one of content.
func (l *journalLine) object(content SegmentKey) (SegmentKey, bool) {
	k, err := ParseKey(l.Key)
	sk, ok := k.(SegmentKey)
	return sk, err == nil && ok && sk.Content() == content
}

// proof is what the sealed bytes of an upload were.
type proof struct {
	Size   int64  `json:"size"`
	MD5    []byte `json:"md5"`
	SHA256 []byte `json:"sha256"`
}

type journalID struct {
	store string
	last  wal.LSN // dense LSNs: one segment or gap of a timeline ends at one
}

// journal is the local memory of an Archiver: which segment is how far in
// which store. It is a cache. A line that is lost costs a request, and a
// journal that cannot be written is said once and worked without; only the
// durable record of a shed range makes somebody wait for it.
//
// The file is written into preallocated room and rewritten (temp, rename)
// when that is used up, so that archiving, which frees the disk, needs none.
type journal struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger

	mu       sync.Mutex
	file     vfs.File // nil: not usable, next rewrite tries again
	end      int64    // where the next line goes
	room     int64    // where the preallocated bytes end
	err      error    // why it is not usable; nil when it is
	timeline wal.Timeline
	entries  map[journalID]journalLine // newest line of each segment or gap
	archived map[string]wal.LSN        // by store
	bad      int                       // damaged lines that were passed over
	failures int
}

// openJournal never fails: without a usable file it starts empty.
func openJournal(fsys vfs.FS, dir string, tl wal.Timeline, logger *slog.Logger) *journal {
	j := &journal{
		fs: fsys, dir: dir, logger: logger, timeline: tl,
		entries: make(map[journalID]journalLine), archived: make(map[string]wal.LSN),
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		j.fail("make directory", err)
		return j
	}
	data, err := readFileMax(fsys, fsys.PathJoin(dir, journalName), journalBytesMax)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.logger.Warn("archive journal is not readable, stores will be asked", "err", err)
	} else {
		_, j.bad = readLines(data, j.apply)
	}
	if j.bad > 0 {
		j.logger.Warn("archive journal has damaged lines, stores will be asked", "lines", j.bad)
	}
	j.rewrite()
	return j
}

// apply takes a line into memory. Lines of another timeline are history.
func (j *journal) apply(l journalLine) {
	if l.Timeline != j.timeline {
		return
	}
	if l.Kind == lineArchived {
		j.archived[l.Store] = max(j.archived[l.Store], l.Last)
		return
	}
	j.entries[journalID{l.Store, l.Last}] = l
}

// prune forgets entries that an archived mark covers.
func (j *journal) prune() {
	for id := range j.entries {
		if id.last <= j.archived[id.store] {
			delete(j.entries, id)
		}
	}
}

// add appends a line. With durable it returns only after a sync and says
// whether that worked; without, a failure is counted and forgotten.
func (j *journal) add(l journalLine, durable bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.Timeline = j.timeline
	j.apply(l)
	line := appendLine(nil, l)
	full := j.file == nil || j.end+int64(len(line)) > j.room
	rewritten := full && j.rewrite() // then the new file holds the line
	if j.file != nil && !rewritten {
		if _, err := j.file.WriteAt(line, j.end); err != nil {
			j.fail("append", err)
		} else {
			j.end += int64(len(line))
		}
	}
	if j.file != nil && durable {
		if err := j.file.Sync(); err != nil {
			j.fail("sync", err)
		}
	}
	return j.err
}

// rewrite starts a new file with what memory holds, and zeroes after it. When
// that fails the old file, if there is one, goes on beyond its room.
func (j *journal) rewrite() bool {
	j.prune()
	var data []byte
	for _, store := range slices.Sorted(maps.Keys(j.archived)) {
		data = appendLine(data, journalLine{Kind: lineArchived, Store: store, Timeline: j.timeline, Last: j.archived[store]})
	}
	for _, l := range j.entries {
		data = appendLine(data, l)
	}
	end := int64(len(data))
	data = append(data, make([]byte, max(journalRoom-len(data), len(data)))...)
	err := durable.WriteFile(j.fs, j.dir, journalName, data)
	if err == nil {
		j.closeFile()
		j.file, err = j.fs.OpenReadWrite(j.fs.PathJoin(j.dir, journalName), vfs.WriteCategoryUnspecified)
	}
	switch {
	case err == nil:
		j.end, j.room, j.err = end, int64(len(data)), nil
	case j.file == nil:
		j.fail("rewrite", err)
	default:
		j.failures++
		j.room += journalRoom
	}
	return err == nil
}

// fail gives the file up until the next rewrite. A failed write or sync is
// never retried on the same file: what it holds is not known any more.
func (j *journal) fail(op string, err error) {
	if j.err == nil {
		j.logger.Warn("archive journal is not usable, going on without", "op", op, "err", err)
	}
	j.failures++
	j.err = fmt.Errorf("%s archive journal: %w", op, err)
	j.closeFile()
}

func (j *journal) closeFile() {
	if j.file != nil {
		_ = j.file.Close() // every line that matters was synced
		j.file = nil
	}
}

// find is the newest line of a segment or gap of a store.
func (j *journal) find(store string, last wal.LSN) (journalLine, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, ok := j.entries[journalID{store, last}]
	return l, ok
}

// archivedUpTo is the archived mark of a store; false when there is none.
func (j *journal) archivedUpTo(store string) (wal.LSN, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, ok := j.archived[store]
	return l, ok
}

// upTo is up to where a store holds everything: its archived mark, or else what
// comes before the first that it is known to lack, where nothing may be there at
// all. False when the journal does not know.
func (j *journal) upTo(store string) (upTo wal.LSN, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if upTo, known = j.archived[store]; known {
		return upTo, true
	}
	for id, l := range j.entries {
		if id.store == store && l.Kind == lineMissed && (!known || l.First <= upTo) {
			upTo, known = l.First-1, true
		}
	}
	return upTo, known
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		if err := j.file.Sync(); err != nil {
			j.fail("sync", err)
		}
	}
	j.closeFile()
}

func (j *journal) figures() (failures, bad int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failures, j.bad
}
