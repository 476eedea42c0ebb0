package wal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// activeSegment is the segment that records go to.
type activeSegment struct {
	file     vfs.File
	capacity int64 // bytes reserved on disk
	sealer   sealer
	sum      hash.Hash // over the first seg.Bytes bytes, behind them only during a flush
	seg      Segment   // up to the durable end; written under Log.mu
}

// writeGroup makes the group durable, in the active segment or in the next, which
// it begins. The baton is held, mu is not. A failure poisons the log.
func (l *Log) writeGroup(g *group) error {
	if next := g.next; next != nil {
		g.next = nil
		if err := l.leaveActive(); err != nil {
			_ = next.file.Close()
			return err
		}
		if err := l.begin(next, g.first); err != nil {
			return err
		}
	}
	a := l.act
	g.seal(a.sealer, l.Durable(), a.seg.Bytes)
	if err := l.writeAt(a.file, a.seg.Path, g.buf, a.seg.Bytes); err != nil {
		return err
	}
	// Crash here: the group is there, torn, or not; none of it was acknowledged.
	return l.syncFile(a.file, a.seg.Path)
}

// leaveActive makes way for the next segment. An active segment without records
// is not sealed: the next one has the same first LSN and takes its name.
func (l *Log) leaveActive() error {
	switch a := l.act; {
	case a == nil:
		return nil
	case a.seg.Records > 0:
		return l.sealActive()
	default:
		l.mu.Lock()
		l.act = nil
		l.mu.successor = true
		l.mu.Unlock()
		if err := a.file.Close(); err != nil {
			return l.poison("close", a.seg.Path, err)
		}
		return nil
	}
}

func (l *Log) writeAt(f vfs.File, path string, b []byte, offset int64) error {
	n, err := f.WriteAt(b, offset)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return l.poison("write", path, err)
	}
	return nil
}

func (l *Log) syncFile(f vfs.File, path string) error {
	l.counters.syncs.Add(1)
	if err := f.SyncData(); err != nil {
		return l.poison("sync", path, err)
	}
	return nil
}

// begin makes the prepared file the active segment, with first as its first
// LSN. The baton is held, mu is not. It owns next. A failure poisons the log.
func (l *Log) begin(next *preparedSegment, first LSN) error {
	path := l.opts.FS.PathJoin(l.dir, SegmentName(first))
	p, err := l.newPreamble(first)
	if err != nil {
		_ = next.file.Close()
		return l.poison("draw salt for", path, err)
	}
	head := make([]byte, PreambleLen)
	p.encode(head)
	a := &activeSegment{
		file: next.file, capacity: next.capacity, sealer: newSealer(p.Salt, p.First), sum: sha256.New(),
		seg: Segment{
			Path: path, First: first, Last: first - 1, Bytes: PreambleLen,
			Timeline: p.Timeline, Epoch: p.Epoch, NodeID: p.NodeID, Gap: p.Gap,
		},
	}
	a.sum.Write(head)
	if err := l.install(next, head, path); err != nil {
		_ = next.file.Close()
		return err
	}
	if next.recycled {
		l.counters.recycled.Add(1)
	}
	l.counters.rotations.Add(1)
	l.mu.Lock()
	l.act = a
	l.mu.successor = false
	l.mu.Unlock()
	return nil
}

// install gives the prepared file its preamble and its name, in this order: a
// file with a segment's name always has a whole preamble.
func (l *Log) install(next *preparedSegment, head []byte, path string) error {
	if err := l.writeAt(next.file, next.path, head, 0); err != nil {
		return err
	}
	if err := l.syncFile(next.file, next.path); err != nil {
		return err
	}
	// Crash here: a spare file with a preamble of its own salt; it is reused.
	if err := l.opts.FS.Rename(next.path, path); err != nil {
		return l.poison("rename", next.path, err)
	}
	// Crash here: an empty newest segment, or none. Nothing in it was
	// acknowledged before its name is durable.
	if err := durable.SyncDir(l.opts.FS, l.dir); err != nil {
		return l.poison("sync directory", l.dir, err)
	}
	return nil
}

func (l *Log) newPreamble(first LSN) (Preamble, error) {
	var salt [8]byte
	if _, err := io.ReadFull(l.opts.Rand, salt[:]); err != nil {
		return Preamble{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Preamble{
		NodeID: l.opts.NodeID, Timeline: l.mu.timeline, Epoch: l.mu.epoch, First: first,
		Created: l.opts.Clock().UnixMicro(), TimeFloor: l.mu.lastTime,
		Salt: binary.LittleEndian.Uint64(salt[:]), Prev: l.prev, Gap: l.gap,
	}
	// Records of the group that begins the segment already moved lastTime.
	if g := l.mu.inflight; g != nil && g.first == first {
		p.TimeFloor = g.firstTime
	}
	return p, nil
}

// sealActive writes the footer and closes the active segment, which holds
// records. The baton is held, mu is not. A failure poisons the log.
func (l *Log) sealActive() error {
	a := l.act
	f := footerOf(&a.seg, a.sum)
	frame := encodeFooter(a.sealer, &f, l.Durable(), a.seg.Bytes)
	if err := l.writeAt(a.file, a.seg.Path, frame, a.seg.Bytes); err != nil {
		return err
	}
	// Crash here: the footer is torn; recovery writes it again.
	if err := l.syncFile(a.file, a.seg.Path); err != nil {
		return err
	}
	a.sum.Write(frame)
	seg := a.seg
	seg.Bytes += int64(len(frame))
	seg.Sealed, seg.SHA256 = true, [32]byte(a.sum.Sum(nil))
	// Crash here: sealed, with unused space behind the footer. Nobody looks there.
	truncateFile(a.file, seg.Bytes)
	if err := a.file.Close(); err != nil {
		return l.poison("close", seg.Path, err)
	}
	l.prev, l.gap = seg.SHA256, 0
	l.counters.seals.Add(1)
	l.mu.Lock()
	l.setTarget(a.capacity, seg.Bytes)
	l.act = nil
	l.mu.sealAt = time.Time{}
	l.mu.sealed = append(l.mu.sealed, seg)
	l.mu.Unlock()
	if l.opts.OnSeal != nil {
		l.opts.OnSeal(seg)
	}
	return nil
}

func footerOf(seg *Segment, sum hash.Hash) Footer {
	return Footer{
		First: seg.First, Last: seg.Last, Records: seg.Records,
		FirstTime: seg.FirstTime, LastTime: seg.LastTime,
		Points: seg.Points, Sum: [32]byte(sum.Sum(nil)),
	}
}

// leaveSuccessor writes an empty segment that begins after the last sealed one.
// The baton is held, mu is not. Nothing depends on it: a failure is no poison.
func (l *Log) leaveSuccessor() error {
	l.mu.Lock()
	first := l.mu.next
	tmp := l.opts.FS.PathJoin(l.dir, l.spareName(newSuffix))
	l.mu.Unlock()
	p, err := l.newPreamble(first)
	if err != nil {
		return fmt.Errorf("draw salt: %w", err)
	}
	head := make([]byte, PreambleLen)
	p.encode(head)
	if err := writeWhole(l.opts.FS, tmp, head); err != nil {
		return err
	}
	if err := l.opts.FS.Rename(tmp, l.opts.FS.PathJoin(l.dir, SegmentName(first))); err != nil {
		return fmt.Errorf("rename empty segment: %w", err)
	}
	return durable.SyncDir(l.opts.FS, l.dir)
}

// writeWhole creates path with the given content, synced; on failure nothing of
// it stays.
func writeWhole(fs vfs.FS, path string, b []byte) error {
	f, err := fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = fs.Remove(path)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
