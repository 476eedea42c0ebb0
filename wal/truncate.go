package wal

import (
	"fmt"

	"github.com/cockroachdb/errors/oserror"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// Truncate removes the sealed segments whose records are all ≤ upTo, oldest
// first, and returns those that are gone for good. It needs no disk space. An
// error leaves the rest in place; it is no poison.
func (l *Log) Truncate(upTo LSN) (removed []Segment, err error) {
	l.truncate.Lock()
	defer l.truncate.Unlock()
	for {
		seg, spare, ok := l.detachOldest(upTo)
		if !ok {
			return removed, nil
		}
		if err := l.discard(seg, spare); err != nil {
			l.mu.Lock()
			l.mu.sealed = append([]Segment{seg}, l.mu.sealed...)
			l.mu.Unlock()
			return removed, fmt.Errorf("truncate log: %w", err)
		}
		removed = append(removed, seg)
	}
}

// detachOldest takes the oldest segment from the list when it may go. spare is
// the name under which its file is kept for reuse, or empty.
func (l *Log) detachOldest(upTo LSN) (seg Segment, spare string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The newest file tells the next Open which LSN comes next. It must not be
	// the one that goes.
	keep := 0
	if l.act == nil && !l.mu.successor {
		keep = 1
	}
	if len(l.mu.sealed) <= keep || l.mu.sealed[0].Last > upTo {
		return Segment{}, "", false
	}
	seg = l.mu.sealed[0]
	l.mu.sealed = l.mu.sealed[1:]
	// A file that is being read must keep its bytes: it is removed, not reused.
	if l.mu.reading[seg.First] == 0 && seg.Bytes >= l.opts.SegmentBytes/2 &&
		len(l.mu.spares) < l.opts.SpareSegments && !l.mu.closing {
		spare = l.opts.FS.PathJoin(l.dir, l.spareName(spareSuffix))
	}
	return seg, spare, true
}

// discard takes the segment's name away for good. Segment by segment, so that
// no crash leaves a hole in the row.
func (l *Log) discard(seg Segment, spare string) error {
	fs := l.opts.FS
	var err error
	if spare == "" {
		err = fs.Remove(seg.Path)
	} else {
		err = fs.Rename(seg.Path, spare)
	}
	switch {
	case oserror.IsNotExist(err):
		spare = "" // gone in an earlier try whose directory sync failed
	case err != nil:
		return fmt.Errorf("remove segment: %w", err)
	}
	// Crash here: the segment may be there again, whole; it is the oldest.
	if err := durable.SyncDir(fs, l.dir); err != nil {
		return err
	}
	if spare != "" {
		// Only now may its bytes be overwritten.
		l.mu.Lock()
		l.addSpare(spareFile{path: spare, size: seg.Bytes})
		l.mu.Unlock()
	}
	l.wakePreparer()
	return nil
}
