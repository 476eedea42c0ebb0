package wal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	writeCategory = vfs.DiskWriteCategory("nodedb-wal")
	// prepareBytes is the size of a young log's segments, and the step in which
	// larger ones are zero-filled.
	prepareBytes = 1 << 20
	// prepareRetry is how long after a failure preparing is tried again.
	prepareRetry = time.Second
)

// preparedSegment is a file that is written from end to end, so that writing
// into it again neither needs space nor changes metadata: that makes its
// fdatasync about twice as fast as that of a file that grows or that was only
// preallocated.
type preparedSegment struct {
	file     vfs.File
	path     string
	capacity int64
	recycled bool
}

// spareFile is a file in which a segment may begin.
type spareFile struct {
	path string
	size int64 // all of it written once
}

// nextBytes returns the size that the next segment should have. Zeroes cost as
// much disk bandwidth as records, so a log that is sealed by age gets small
// segments; one that fills them gets larger ones each time. mu is held.
func (l *Log) nextBytes() int64 {
	want := l.mu.target
	if a := l.act; a != nil && l.mu.room < a.capacity/2 {
		want = max(want, min(4*a.capacity, l.opts.SegmentBytes))
	}
	return max(want, l.mu.wanted)
}

// setTarget learns from a segment that was sealed. mu is held.
func (l *Log) setTarget(capacity, used int64) {
	want := 2 * used
	if used > capacity/2 {
		want = 4 * capacity
	}
	l.mu.target = min(max(want, prepareBytes), l.opts.SegmentBytes)
}

// runPreparer keeps the next segment ready.
func (l *Log) runPreparer() {
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	for {
		for l.prepareOnce() {
		}
		l.mu.Lock()
		failed := l.mu.prepareErr != nil
		l.mu.Unlock()
		if failed {
			retry.Reset(prepareRetry)
		}
		select {
		case <-l.stop:
			return
		case <-l.prepare:
		case <-retry.C:
		}
		retry.Stop()
	}
}

// prepareOnce does one step, and reports whether there may be another to do at
// once.
func (l *Log) prepareOnce() bool {
	l.mu.Lock()
	want := l.nextBytes()
	r := l.mu.ready
	if l.errLocked() != nil || (r != nil && r.capacity >= want) {
		l.mu.Unlock()
		return false
	}
	l.mu.ready = nil // the preparer's while it works
	spare, found := l.takeSpare(want, r)
	l.mu.Unlock()

	var err error
	switch {
	case found:
		r, err = l.openSpare(spare, r)
	case r == nil:
		r, err = l.createSegment(min(want, prepareBytes))
	}
	if err == nil && r.capacity < want {
		err = l.extend(r, min(want, r.capacity+prepareBytes))
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.ready = r
	if err != nil && l.mu.prepareErr == nil {
		l.opts.Logger.Warn("wal: no segment prepared", "dir", l.dir, "err", err)
	}
	l.mu.prepareErr = err
	if r != nil && r.capacity >= l.mu.wanted {
		l.mu.wanted = 0
	}
	l.mu.changed.Broadcast()
	return err == nil
}

// takeSpare picks a recycled file for a segment of want bytes: one that is large
// enough without being a waste, or any when the disk is full. have is what is
// prepared already. mu is held.
func (l *Log) takeSpare(want int64, have *preparedSegment) (spareFile, bool) {
	wasteful := want * 4
	if l.mu.prepareErr != nil {
		wasteful = 1 << 62
	}
	i := slices.IndexFunc(l.mu.spares, func(s spareFile) bool { return s.size >= want-want/8 })
	if i < 0 && have == nil && l.mu.prepareErr != nil {
		i = len(l.mu.spares) - 1
	}
	if i < 0 || l.mu.spares[i].size > wasteful || (have != nil && have.capacity >= l.mu.spares[i].size) {
		return spareFile{}, false
	}
	s := l.mu.spares[i]
	l.mu.spares = slices.Delete(l.mu.spares, i, i+1)
	return s, true
}

// openSpare makes a spare file the prepared one, in place of old, which may be
// nil.
func (l *Log) openSpare(s spareFile, old *preparedSegment) (*preparedSegment, error) {
	f, err := l.opts.FS.OpenReadWrite(s.path, writeCategory)
	if err != nil {
		return old, prepareError(err)
	}
	if old != nil {
		_ = old.file.Close()
		_ = l.opts.FS.Remove(old.path)
	}
	return &preparedSegment{
		file: f, path: s.path, recycled: true,
		capacity: min(s.size, l.opts.SegmentBytes+frameBodyMax),
	}, nil
}

// createSegment makes a zero-filled file of size bytes.
func (l *Log) createSegment(size int64) (*preparedSegment, error) {
	fs := l.opts.FS
	l.mu.Lock()
	path := fs.PathJoin(l.dir, l.spareName(newSuffix))
	l.mu.Unlock()
	f, err := fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return nil, prepareError(err)
	}
	r := &preparedSegment{file: f, path: path}
	err = l.extend(r, size)
	if err == nil {
		// Crash here: a .new file, which the next Open removes.
		ready := path[:len(path)-len(newSuffix)] + spareSuffix
		if err = prepareError(fs.Rename(path, ready)); err == nil {
			r.path = ready
			return r, nil
		}
	}
	_ = f.Close()
	_ = fs.Remove(path) // what little space there is belongs to others
	return nil, err
}

// extend fills the file with zeroes up to size and makes them durable. When it
// fails the capacity is as before.
func (l *Log) extend(r *preparedSegment, size int64) error {
	zero := make([]byte, min(size-r.capacity, 256<<10))
	for at := r.capacity; at < size; {
		n, err := r.file.WriteAt(zero[:min(size-at, int64(len(zero)))], at)
		if err == nil && n == 0 {
			err = errors.New("wrote nothing")
		}
		if err != nil {
			return prepareError(err)
		}
		at += int64(n)
	}
	// The full Sync: the file's size and extents must not be left to the first
	// group commit.
	if err := r.file.Sync(); err != nil {
		return prepareError(err)
	}
	r.capacity = size
	return nil
}

// prepareError classes a failure to prepare. Nothing was acknowledged in the
// file, so none is poison.
func prepareError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: prepare segment: %w", ErrDiskFull, err)
	}
	return fmt.Errorf("wal: prepare segment: %w", err)
}

// spareName returns an unused name. mu is held.
func (l *Log) spareName(suffix string) string {
	l.mu.serial++
	return strconv.FormatUint(l.mu.serial, 10) + suffix
}

// addSpare makes a file available for reuse. mu is held.
func (l *Log) addSpare(s spareFile) {
	i, _ := slices.BinarySearchFunc(l.mu.spares, s.size, func(e spareFile, size int64) int {
		return cmp.Compare(e.size, size)
	})
	l.mu.spares = slices.Insert(l.mu.spares, i, s)
}
