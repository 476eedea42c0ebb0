package wal

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Reader reads the records of a log in LSN order, over all segments, up to the
// durable end, in bounded memory, while the log is written. It verifies what it
// reads: checksums, LSN continuity, and the hash chain for segments that it
// reads as a whole. It belongs to one goroutine; Close it.
type Reader struct {
	log  *Log
	next LSN // of the record that Next returns

	seg     *SegmentReader // nil between segments
	file    vfs.File
	first   LSN // of the segment, pinned in log.mu.reading
	vouched LSN // what has been read ahead is valid up to here

	sum     [32]byte // of the segment read before
	haveSum bool
	err     error // damage is final
}

// NewReader returns a reader whose first record is from; zero means the oldest.
func (l *Log) NewReader(from LSN) *Reader { return &Reader{log: l, next: from} }

// Next returns the next record. Its slices are valid until the next call. At
// the durable end it returns io.EOF; a later call goes on when there is more.
// Errors: *TruncatedError when the position is gone, *CorruptError and the other
// errors of damage.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	for {
		if r.seg != nil && len(r.seg.rest) > 0 {
			rec, err := r.seg.Next()
			if err != nil {
				return Record{}, r.fail(err)
			}
			if rec.LSN < r.next {
				continue
			}
			r.next = rec.LSN + 1
			return rec, nil
		}
		if err := r.advance(); err != nil {
			return Record{}, err
		}
	}
}

// advance reads one frame, or steps into the next segment. io.EOF is not final.
func (r *Reader) advance() error {
	if r.seg == nil {
		return r.open()
	}
	if at := r.seg.seg.Last + 1; at > r.vouched {
		durable := r.log.Durable()
		if at > durable {
			return io.EOF
		}
		// What the buffer holds from here on may have been read before it was
		// written.
		r.vouched = durable
		r.seg.src.Reset(io.NewSectionReader(r.file, r.seg.at, 1<<62))
	}
	err := r.seg.nextFrame()
	if !errors.Is(err, io.EOF) {
		if err != nil {
			return r.fail(err)
		}
		return nil
	}
	r.sum, r.haveSum = r.seg.seg.SHA256, true
	r.next = max(r.next, r.seg.seg.Last+1)
	return r.release()
}

// open steps into the segment that holds the next record.
func (r *Reader) open() error {
	path, first, err := r.log.pin(&r.next)
	if err != nil {
		return err // io.EOF and *TruncatedError are not final
	}
	file, err := r.log.opts.FS.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		r.log.unpin(first)
		return fmt.Errorf("open segment: %w", err)
	}
	r.file, r.first = file, first
	r.vouched = r.log.Durable()
	r.seg = NewSegmentReader(io.NewSectionReader(file, 0, 1<<62), path)
	r.seg.SetKnownType(r.log.opts.KnownType)
	p, err := r.seg.Preamble()
	if err != nil {
		return r.fail(err)
	}
	if r.haveSum && first >= r.next && p.Prev != r.sum {
		return r.fail(&CorruptError{
			Path: path, Offset: 64, FirstLSN: first, Reason: reasonChain,
		})
	}
	return nil
}

func (r *Reader) fail(err error) error {
	r.err = err
	_ = r.release()
	return err
}

func (r *Reader) release() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.log.unpin(r.first)
	r.file, r.seg = nil, nil
	return err
}

// Close releases the reader's file. It may be called twice.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = ErrClosed
	}
	return r.release()
}

// pin finds the segment that holds *at and keeps its file from being reused. A
// zero *at becomes the oldest LSN.
func (l *Log) pin(at *LSN) (path string, first LSN, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.oldest()
	if *at == 0 {
		*at = oldest
	}
	if *at < oldest {
		return "", 0, &TruncatedError{LSN: *at, First: oldest}
	}
	i := sort.Search(len(l.mu.sealed), func(i int) bool { return *at <= l.mu.sealed[i].Last })
	var found *Segment
	switch a := l.act; {
	case i < len(l.mu.sealed):
		found = &l.mu.sealed[i]
	case a != nil && *at <= a.seg.Last:
		found = &a.seg
	default:
		return "", 0, io.EOF
	}
	l.mu.reading[found.First]++
	return found.Path, found.First, nil
}

func (l *Log) unpin(first LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.reading[first]--; l.mu.reading[first] == 0 {
		delete(l.mu.reading, first)
	}
}
