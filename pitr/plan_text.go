package pitr

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes the plan for a person.
func (p *Plan) WriteText(w io.Writer) error {
	t := &textWriter{w: w}
	t.line("Restore of node %s to %s", p.NodeID, p.Target)
	t.line("  reaches    %s", p.Reached)
	if p.Timeline != p.Reached.Timeline {
		t.line("  history    of timeline %d, which inherited that record", uint32(p.Timeline))
	}
	if p.Base == nil {
		t.line("  base       none: replays from LSN 1")
	} else {
		t.line("  base       LSN %d on timeline %d (%s), %s, %s", uint64(p.Base.LSN), uint32(p.Base.Timeline),
			formatTime(p.Base.Time), counted(p.Base.Objects, "file"), bytesText(p.Base.Bytes))
	}
	t.segments(p.Segments)
	for _, g := range p.Gaps {
		t.line("  gap        LSNs %d to %d of timeline %d are lost; not needed here", uint64(g.From), uint64(g.To), uint32(g.Timeline))
	}
	switch len(p.Digests) {
	case 0:
		t.line("  digest     no base speaks of exactly this LSN; digest records are looked for on the way")
	default:
		t.line("  digest     must be %s over %d entries", p.Digests[0].Sum, p.Digests[0].Entries)
	}
	t.line("  to fetch   %s in %s, %s", bytesText(p.Bytes), counted(p.Objects, "object"), counted(p.Requests, "request"))
	t.cold(p.Cold)
	for _, k := range p.MissingKeys {
		t.line("  key        none was given to open what is encrypted for %s: one of %s is needed", k.ID, strings.Join(k.Recipients, ", "))
	}
	t.line("  time       about %s, at %s", time.Duration(p.EstimatedSeconds*float64(time.Second)).Round(100*time.Millisecond), p.Pace)
	t.line("  after it   the node starts timeline %d or later, at LSN %d or later", uint32(p.NextTimeline), uint64(p.NextLSN))
	for _, s := range p.Stores {
		t.line("  store      %s", s)
	}
	for _, s := range p.Warnings {
		t.line("  warning    %s", s)
	}
	return t.err
}

type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

// segments writes one line for each stretch of a timeline.
func (t *textWriter) segments(all []PlanSegment) {
	for i := 0; i < len(all); {
		first, n, bytes := all[i], 0, int64(0)
		last := first
		for ; i < len(all) && all[i].Timeline == first.Timeline; i++ {
			n, bytes, last = n+1, bytes+all[i].Bytes, all[i]
		}
		t.line("  replay     LSNs %d to %d of timeline %d: %s, %s", uint64(first.From), uint64(last.To),
			uint32(first.Timeline), counted(n, "segment"), bytesText(bytes))
	}
	if len(all) == 0 {
		t.line("  replay     nothing: the base is exactly the target")
	}
}

// coldShown bounds the cold objects that a person is shown by name.
const coldShown = 3

func (t *textWriter) cold(all []PlanCold) {
	for i, c := range all {
		if i == coldShown {
			t.line("  cold       and %d more", len(all)-coldShown)
			return
		}
		how := "can be read, for a fee"
		if c.Thaw {
			how = "must be thawed first"
		}
		t.line("  cold       %s is %s in %s: %s", c.Key, c.Class, c.Store, how)
	}
}

// String is the pace in words.
func (p Pace) String() string {
	return fmt.Sprintf("%s/s and %d records/s, %.0f ms a request, %d at a time (%s)",
		bytesText(p.BytesPerSecond), p.RecordsPerSecond, p.SecondsPerRequest*1000, p.Parallel, p.Source)
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func bytesText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}
