package retain

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Kept is a range of positions that stays restorable, and why. To is the
// highest LSN there is when the range has no end.
type Kept struct {
	Timeline wal.Timeline `json:"timeline"`
	From     wal.LSN      `json:"from"`
	To       wal.LSN      `json:"to"`
	Reason   string       `json:"reason"`
}

// Decision is what must stay.
type Decision struct {
	Kept  []Kept
	bases map[archive.BaseKey]string // reason
	needs []need
	sums  map[[32]byte]bool // contents of kept bases
	f     *Facts
	h     *history
	p     Policy
	now   time.Time

	// Unclear are reasons for which what is needed is not known. With one of
	// them everything stays.
	Unclear []string
}

type need struct {
	span
	reason string
}

// Decide applies the policy. forced are bases that stay whatever it says,
// because their store retains them.
func Decide(f *Facts, p Policy, now time.Time, forced ...archive.BaseKey) *Decision {
	d := &Decision{f: f, p: p, now: now, h: newHistory(f), bases: make(map[archive.BaseKey]string), sums: make(map[[32]byte]bool)}
	d.unclear()
	for _, tl := range slices.Sorted(maps.Keys(d.h.branches)) {
		line := d.h.lineage(tl)
		points := d.h.points(line)
		if !d.abandoned(d.h.branches[tl].lastEpoch) {
			d.rules(tl, line, points)
		}
		for _, pin := range f.Pins {
			if !pin.Expired(now) && on(line, pin.Timeline, pin.LSN) {
				d.pin(tl, line, points, pin)
			}
		}
		for _, b := range points {
			if slices.Contains(forced, b.BaseKey) {
				d.keepPoint(tl, line, b, b.LSN, "its store retains the base")
			}
		}
	}
	for _, b := range f.Bases {
		if b.Manifest == nil {
			d.bases[b.BaseKey] = "its manifest cannot be read"
		} else if slices.Contains(forced, b.BaseKey) {
			d.bases[b.BaseKey] = "its store retains it"
		}
	}
	for _, b := range f.Bases {
		if _, kept := d.bases[b.BaseKey]; kept && b.Manifest != nil {
			for k := range sumsOf(b.Manifest) {
				d.sums[k] = true
			}
		}
	}
	return d
}

// unclear finds out whether what is needed can be known at all.
func (d *Decision) unclear() {
	d.Unclear = slices.Clone(d.f.Unclear)
	if len(d.f.Epochs) == 0 {
		d.Unclear = append(d.Unclear, "no epoch object says what is history")
	}
	for _, pin := range d.f.Pins {
		there := false
		for tl := range d.h.branches {
			there = there || on(d.h.lineage(tl), pin.Timeline, pin.LSN)
		}
		if !there && !pin.Expired(d.now) {
			d.Unclear = append(d.Unclear, fmt.Sprintf("pin %q is at LSN %d of timeline %d, which is on no history of this archive", pin.Name, pin.LSN, pin.Timeline))
		}
	}
}

// all tells whether everything stays, and why.
func (d *Decision) all() (string, bool) {
	if len(d.Unclear) == 0 {
		return "", false
	}
	return "what is needed is not known: " + d.Unclear[0], true
}

func sumsOf(m *archive.Manifest) map[[32]byte]bool {
	out := make(map[[32]byte]bool)
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			if k, err := m.VShards[i].Files[j].Object(); err == nil {
				out[k.SHA256] = true
			}
		}
	}
	return out
}

// abandoned tells whether a later epoch took over from this one so long ago
// that the rules no longer hold for its history.
func (d *Decision) abandoned(last wal.Epoch) bool {
	for _, e := range d.f.Epochs {
		if e.Epoch > last && d.now.Sub(e.ClaimedAt) > d.p.abandoned() {
			return true
		}
	}
	return false
}

// rules applies the policy to the history of one timeline.
func (d *Decision) rules(tl wal.Timeline, line []span, points []point) {
	start, why := len(points)-1, "from the newest base on"
	older := func(i int, reason string) {
		if i <= start {
			start, why = i, reason
		}
	}
	if d.p.Last > 0 {
		older(len(points)-d.p.Last, fmt.Sprintf("from the newest %d bases on", d.p.Last))
	}
	if d.p.Within > 0 {
		from := d.now.Add(-d.p.Within)
		i := len(points) - 1
		for i >= 0 && points[i].Manifest.Time.After(from) {
			i--
		}
		older(i, "within "+d.p.Within.String())
	}
	if start < 0 {
		d.keepAll(tl, line, why+", and there is no base before")
	} else {
		d.keepFrom(tl, line, points[start], points[start].LSN, why)
	}
	for _, c := range d.p.calendar() {
		seen := ""
		for i, n := len(points)-1, 0; i >= 0 && n < c.n; i-- {
			if in := c.of(points[i].Manifest.Time.UTC()); in != seen {
				seen = in
				n++
				d.keepPoint(tl, line, points[i], points[i].LSN, fmt.Sprintf("newest base of %s %s", c.name, in))
			}
		}
	}
}

// pin keeps what a pin on this history needs.
func (d *Decision) pin(tl wal.Timeline, line []span, points []point, pin archive.PinInfo) {
	reason := fmt.Sprintf("pin %q", pin.Name)
	if pin.Hold {
		reason = fmt.Sprintf("legal hold %q", pin.Name)
	}
	for i := len(points) - 1; i >= 0; i-- {
		b := points[i]
		if b.LSN > pin.LSN || !d.h.covered(slice(line, b.low+1, pin.LSN)) {
			continue
		}
		if pin.Only {
			d.keepPoint(tl, line, b, pin.LSN, reason)
		} else {
			d.keepFrom(tl, line, b, pin.LSN, reason)
		}
		return
	}
	d.keepAll(tl, line, reason)
}

func (d *Decision) keepAll(tl wal.Timeline, line []span, why string) {
	d.need(tl, line, 0, lsnEnd, 1, why)
}

// keepFrom keeps base b and all that was written from lsn on.
func (d *Decision) keepFrom(tl wal.Timeline, line []span, b point, lsn wal.LSN, why string) {
	d.bases[b.BaseKey] = why
	d.need(tl, line, b.low+1, lsnEnd, lsn, why)
}

// keepPoint keeps base b and what leads from it to lsn.
func (d *Decision) keepPoint(tl wal.Timeline, line []span, b point, lsn wal.LSN, why string) {
	if _, ok := d.bases[b.BaseKey]; !ok {
		d.bases[b.BaseKey] = why
	}
	for _, s := range slice(line, b.low+1, lsn) {
		d.needs = append(d.needs, need{s, why})
	}
	d.Kept = append(d.Kept, Kept{tl, lsn, lsn, why})
}

// need keeps the log from..to, and every base from lsn on.
func (d *Decision) need(tl wal.Timeline, line []span, from, to, lsn wal.LSN, why string) {
	for _, s := range slice(line, from, to) {
		d.needs = append(d.needs, need{s, why})
	}
	for _, b := range d.f.Bases {
		inside := on(line, b.Timeline, b.LSN) || on(line, b.Timeline, b.LSN+1)
		if _, ok := d.bases[b.BaseKey]; !ok && inside && b.LSN >= lsn {
			d.bases[b.BaseKey] = why
		}
	}
	d.Kept = append(d.Kept, Kept{tl, lsn, min(to, d.f.LSNMax), why})
}

// Base says whether a base stays, and why or why not.
func (d *Decision) Base(k archive.BaseKey) (bool, string) {
	if why, ok := d.all(); ok {
		return true, why
	}
	why, ok := d.bases[k]
	if !ok {
		why = "no rule and no pin keeps this base"
	}
	return ok, why
}

const highestLSN = "it holds the highest LSN"

// Pack says whether a pack stays, and why or why not: it goes as a whole.
func (d *Decision) Pack(k archive.PackKey) (bool, string) {
	if why, ok := d.all(); ok {
		return true, why
	}
	if k.Last >= d.f.LSNMax {
		return true, highestLSN
	}
	if why, ok := d.spans(span{k.Timeline, k.First, k.Last}); ok {
		return true, why
	}
	return false, fmt.Sprintf("nothing that is kept needs any of LSNs %d to %d", k.First, k.Last)
}

// Segment says whether a segment stays, and why or why not.
func (d *Decision) Segment(s archive.SegmentEntry) (bool, string) {
	if why, ok := d.all(); ok {
		return true, why
	}
	if s.Last >= d.f.LSNMax {
		return true, highestLSN
	}
	if s.Dead() {
		if d.abandoned(s.Epoch) {
			return false, "a fenced writer wrote it; it is not history"
		}
		return true, "a fenced writer wrote it, not long ago"
	}
	if why, ok := d.spans(span{s.Timeline, s.From, s.To}); ok {
		return true, why
	}
	return false, fmt.Sprintf("nothing that is kept needs LSNs %d to %d", s.From, s.To)
}

func (d *Decision) spans(s span) (string, bool) {
	for _, n := range d.needs {
		if n.timeline == s.timeline && n.from <= s.to && s.from <= n.to {
			return n.reason, true
		}
	}
	return "", false
}

// Content says whether a content stays.
func (d *Decision) Content(sum [32]byte) (bool, string) {
	if why, ok := d.all(); ok {
		return true, why
	}
	if d.sums[sum] {
		return true, "a kept base names it"
	}
	return false, "no kept base names it"
}
