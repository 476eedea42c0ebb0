package wal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// damagedSuffix marks files that Salvage set aside. The log does not look at
// them.
const damagedSuffix = ".damaged"

// SalvageOptions of Salvage. Nil and zero fields mean the default.
type SalvageOptions struct {
	FS    vfs.FS           // default vfs.Default
	Clock func() time.Time // default time.Now
	Rand  io.Reader        // default crypto/rand.Reader
	// Above is an LSN that the log must go on above, whatever it holds: the
	// highest that anyone may have applied or archived.
	Above LSN
	// DryRun reports what would be done and does nothing.
	DryRun bool
}

// SalvageReport says what Salvage did.
type SalvageReport struct {
	Cause     error    // the first damage; nil when there was none and nothing was done
	Kept      LSN      // last LSN that was kept; 0 when none
	LostFirst LSN      // LSNs of this range are given up
	LostLast  LSN      // LostFirst-1 when none is known to be lost
	Next      LSN      // the next to be assigned
	SetAside  []string // files, under their new names
}

// Salvage gives up what cannot be read. It cuts a damaged log, that nobody has
// open, at its first damage: it keeps all records in front of it, sets the
// damaged segment and all later ones aside (renamed, not removed), and declares
// the lost LSNs in the segment that it leaves at the end. They are not assigned
// again. A log without damage is left as it is. Errors of version are not
// damage: they are returned.
func Salvage(dir string, o *SalvageOptions) (*SalvageReport, error) {
	s := &salvage{dir: dir}
	if o != nil {
		s.SalvageOptions = *o
	}
	if s.FS == nil {
		s.FS = vfs.Default
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	found, err := Verify(dir, s.FS)
	if err != nil {
		return nil, err
	}
	for _, err := range found.Damage {
		if errors.Is(err, ErrVersion) || !errors.Is(err, ErrCorrupt) {
			return nil, fmt.Errorf("salvage log: %w", err)
		}
	}
	if s.firsts, err = segmentNames(s.FS, dir); err != nil {
		return nil, err
	}
	if len(found.Damage) == 0 {
		return &SalvageReport{Kept: found.Last, LostFirst: found.Last + 1, LostLast: found.Last}, nil
	}
	s.report.Cause = found.Damage[0]
	if err := s.run(); err != nil {
		return nil, fmt.Errorf("salvage log: %w", err)
	}
	return &s.report, nil
}

type salvage struct {
	SalvageOptions
	dir    string
	firsts []LSN
	report SalvageReport
}

func (s *salvage) path(first LSN) string { return s.FS.PathJoin(s.dir, SegmentName(first)) }

// run keeps whole segments up to the first that cannot be read or does not
// follow, and the readable head of that one.
func (s *salvage) run() error {
	var last *Segment
	var head *SegmentReader
	cut := 0
	for ; cut < len(s.firsts); cut++ {
		r, err := OpenSegment(s.FS, s.path(s.firsts[cut]))
		if err != nil {
			return err
		}
		err = r.drain()
		_ = r.Close()
		if last != nil && (!r.started || follows(last, r.name, r.seg.First, r.preamble.Gap) != nil ||
			r.preamble.Prev != last.SHA256) {
			break
		}
		if err != nil {
			if r.started {
				head = r
			}
			break
		}
		seg := r.Segment()
		last = &seg
	}
	return s.cut(last, head, cut)
}

// cut makes an end behind last and the readable head of the segment behind it.
func (s *salvage) cut(last *Segment, head *SegmentReader, from int) error {
	s.report.LostLast = s.lastKnown(from)
	var p Preamble
	switch {
	case head != nil && head.seg.Records > 0:
		p = head.preamble
		s.report.Kept = head.seg.Last
	case last != nil:
		s.report.Kept = last.Last
		p = Preamble{NodeID: last.NodeID, Timeline: last.Timeline, Epoch: last.Epoch, Prev: last.SHA256, TimeFloor: last.LastTime}
		head = nil
	case head != nil:
		p = head.preamble
		s.report.Kept = head.seg.First - 1
		head = nil
	default:
		s.report.Kept = s.firsts[from] - 1
	}
	s.report.LostFirst = s.report.Kept + 1
	s.report.LostLast = max(s.report.LostLast, s.report.Kept)
	s.report.Next = max(s.report.LostLast, s.Above) + 1
	if s.DryRun {
		return nil
	}
	return s.apply(p, head, from)
}

// lastKnown returns the highest LSN that the files from index from on speak of.
func (s *salvage) lastKnown(from int) (last LSN) {
	var c *CorruptError
	if errors.As(s.report.Cause, &c) {
		last = c.LastLSN
	}
	for _, first := range s.firsts[from:] {
		last = max(last, first-1)
		if r, err := OpenSegment(s.FS, s.path(first)); err == nil {
			_ = r.drain()
			last = max(last, r.seg.Last)
			_ = r.Close()
		}
	}
	return last
}

// apply sets files aside, newest first, so that a crash leaves a log that
// Salvage can go on with.
func (s *salvage) apply(p Preamble, head *SegmentReader, from int) error {
	var kept string
	if head != nil {
		var err error
		if kept, err = s.copyHead(head); err != nil {
			return err
		}
		p.Prev, p.TimeFloor = [32]byte(head.sum.Sum(nil)), head.seg.LastTime
	}
	for i := len(s.firsts) - 1; i >= from; i-- {
		old := s.path(s.firsts[i])
		if err := s.FS.Rename(old, old+damagedSuffix); err != nil {
			return fmt.Errorf("set segment aside: %w", err)
		}
		// Crash here: the damage may be gone from sight; the records in front of
		// it are all there, but for the head of the first file.
		if err := durable.SyncDir(s.FS, s.dir); err != nil {
			return err
		}
		s.report.SetAside = append(s.report.SetAside, old+damagedSuffix)
	}
	if kept != "" {
		if err := s.FS.Rename(kept, s.path(s.firsts[from])); err != nil {
			return fmt.Errorf("rename salvaged head: %w", err)
		}
	}
	return s.leaveEnd(p)
}

// copyHead writes the readable records of a damaged segment into a sealed file.
func (s *salvage) copyHead(head *SegmentReader) (string, error) {
	in, err := s.FS.Open(head.name)
	if err != nil {
		return "", fmt.Errorf("open segment: %w", err)
	}
	defer in.Close()
	b := make([]byte, head.seg.Bytes)
	if err := readFullAt(in, head.name, b, 0); err != nil {
		return "", err
	}
	head.sum = sha256.New()
	head.sum.Write(b)
	footer := footerOf(&head.seg, head.sum)
	frame := encodeFooter(head.sealer, &footer, head.seg.Last, head.seg.Bytes)
	head.sum.Write(frame)
	tmp := head.name + newSuffix
	return tmp, writeWhole(s.FS, tmp, append(b, frame...))
}

// leaveEnd writes an empty segment that declares the gap and says which LSN is
// next.
func (s *salvage) leaveEnd(p Preamble) error {
	var salt [8]byte
	if _, err := io.ReadFull(s.Rand, salt[:]); err != nil {
		return fmt.Errorf("draw salt: %w", err)
	}
	p.Salt, p.First, p.Gap, p.Created = binary.LittleEndian.Uint64(salt[:]), s.report.Next, 0, s.Clock().UnixMicro()
	if p.First > s.report.LostFirst {
		p.Gap = s.report.LostFirst
	}
	b := make([]byte, PreambleLen)
	p.encode(b)
	tmp := s.path(p.First) + newSuffix
	if err := writeWhole(s.FS, tmp, b); err != nil {
		return err
	}
	if err := s.FS.Rename(tmp, s.path(p.First)); err != nil {
		return fmt.Errorf("rename end of log: %w", err)
	}
	return durable.SyncDir(s.FS, s.dir)
}
