package wal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Report is what Verify found in a log's directory.
type Report struct {
	Segments []Segment // that can be read as a whole, and the readable head of damaged ones
	First    LSN       // oldest record; 0 when there is none
	Last     LSN       // newest record; 0 when there is none
	Records  uint64
	Bytes    int64    // logical
	Torn     *Torn    // the end of a crashed log, which the next Open will cut; no damage
	Damage   []error  // *CorruptError, *MagicError, *VersionError, or an error of the file system
	Gaps     [][2]LSN // declared by Salvage: first and last LSN lost
}

// Torn is the unfinished end of a log that was not closed.
type Torn struct {
	Path   string
	Offset int64
	LSN    LSN // the next to be assigned
}

// Err joins the damage; nil when there is none.
func (r *Report) Err() error { return errors.Join(r.Damage...) }

// Verify reads all of a log that nobody has open and checks everything that can
// be checked: every checksum, position and time, the footers, and the hash
// chain. It changes nothing. Damage is in the report; the error is for a
// directory that cannot be read.
func Verify(dir string, fs vfs.FS) (*Report, error) {
	if fs == nil {
		fs = vfs.Default
	}
	if _, err := fs.List(dir); err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	firsts, err := segmentNames(fs, dir)
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	v := &verifier{fs: fs}
	for i, first := range firsts {
		next := LSN(0)
		if i < len(firsts)-1 {
			next = firsts[i+1]
		}
		v.segment(fs.PathJoin(dir, SegmentName(first)), first, next)
	}
	return &v.report, nil
}

type verifier struct {
	fs     vfs.FS
	report Report
	prev   *Segment // the segment before, as far as it could be read
}

func (v *verifier) damage(err error) { v.report.Damage = append(v.report.Damage, err) }

// segment checks one segment; next is its successor's first LSN, 0 for the last.
func (v *verifier) segment(path string, first, next LSN) {
	var p Preamble
	var seg Segment
	var err error
	if next != 0 {
		p, seg, err = readWhole(v.fs, path)
		err = knownUpTo(err, next-1)
	} else {
		c := &chain{}
		p, seg, err = c.readNewest(v.fs, path, first)
		if c.tail != nil && !seg.Sealed && seg.Records > 0 { // an empty newest segment is how a log ends
			v.report.Torn = &Torn{Path: path, Offset: c.tail.offset, LSN: seg.Last + 1}
		}
	}
	if prev := v.prev; prev != nil && (err == nil || p.First != 0) {
		v.follow(prev, &seg, p)
	}
	if err != nil {
		v.damage(err)
	}
	if seg.First == 0 {
		seg = Segment{Path: path, First: first, Last: first - 1}
	}
	v.add(seg)
	if next != 0 && err != nil {
		// One damage is one finding: what follows is measured from here.
		seg.Last, seg.SHA256 = next-1, [32]byte{}
	}
	v.prev = &seg
}

func (v *verifier) follow(prev, seg *Segment, p Preamble) {
	if err := follows(prev, seg.Path, seg.First, p.Gap); err != nil {
		v.damage(err)
		return
	}
	if p.Gap != 0 && p.Gap == prev.Last+1 {
		v.report.Gaps = append(v.report.Gaps, [2]LSN{p.Gap, seg.First - 1})
	}
	if p.First != 0 && prev.Sealed && prev.SHA256 != [32]byte{} && p.Prev != prev.SHA256 {
		v.damage(&CorruptError{Path: seg.Path, Offset: 64, FirstLSN: seg.First, Reason: reasonChain})
	}
}

func (v *verifier) add(seg Segment) {
	if seg.Records == 0 {
		return
	}
	r := &v.report
	r.Segments = append(r.Segments, seg)
	if r.First == 0 {
		r.First = seg.First
	}
	r.Last = seg.Last
	r.Records += seg.Records
	r.Bytes += seg.Bytes
}

// readWhole reads and verifies a segment that must be sealed. With an error it
// returns what could be read in front of it.
func readWhole(fs vfs.FS, path string) (Preamble, Segment, error) {
	r, err := OpenSegment(fs, path)
	if err != nil {
		return Preamble{}, Segment{}, err
	}
	defer r.Close()
	if err := r.drain(); err != nil {
		return r.preamble, r.Segment(), err
	}
	return r.preamble, r.Segment(), nil
}
