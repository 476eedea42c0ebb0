package cli

import (
	"encoding/json"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sys/unix"
)

// refresh is how often a bar is drawn, reportEvery how often --progress=json
// writes a line.
const (
	refresh     = 100 * time.Millisecond
	reportEvery = time.Second
)

// Unit is what a bar counts.
type Unit int

// Units.
const (
	Items Unit = iota
	Bytes
	Step // nothing: only how long it takes
)

// Progress draws bars on standard error: bars on a terminal, JSON lines with
// --progress=json, nothing otherwise. Its methods may be called from any
// goroutine.
type Progress struct {
	mux  *muxWriter
	bars *mpb.Progress // nil: no drawing
	json bool

	mu  sync.Mutex
	all []*Bar
}

// Bar is one line of progress. Adding to it costs an atomic operation.
type Bar struct {
	owner *Progress
	label string
	unit  Unit
	start time.Time
	bar   *mpb.Bar // nil: no drawing

	current, total atomic.Int64
	shown          atomic.Int64 // time of the last redraw or report, ns since start
	done           atomic.Bool
	note           atomic.Pointer[Note]
}

// Note is what a bar says besides its count.
type Note struct {
	Text string
	ETA  float64 // seconds; negative: unknown
}

// Note changes what the bar says besides its count.
func (b *Bar) Note(n Note) { b.note.Store(&n) }

// Progress is the call's progress; bars are drawn only if the call asks for it.
func (c *Call) Progress() *Progress {
	if c.progress == nil {
		c.progress = newProgress(c.s.stderr, c.mode)
	}
	return c.progress
}

// EndProgress ends all bars, so that what is printed next is not drawn over.
// Answer does it by itself.
func (c *Call) EndProgress() {
	if c.progress != nil {
		c.progress.Close()
		c.progress = nil
	}
}

func newProgress(w *muxWriter, mode string) *Progress {
	p := &Progress{mux: w, json: mode == "json"}
	if mode == "bar" || (mode == "auto" && IsTerminal(w.w)) {
		p.bars = mpb.New(mpb.WithOutput(w.w), mpb.WithRefreshRate(refresh), mpb.WithAutoRefresh())
		w.route(p.bars)
	}
	return p
}

// Bar adds a line. A total of zero or less is unknown.
func (p *Progress) Bar(label string, total int64, unit Unit) *Bar {
	b := &Bar{owner: p, label: label, unit: unit, start: time.Now()}
	b.total.Store(total)
	if p.bars != nil {
		// Made without a total: only such a bar lets Done decide when it ends.
		b.bar = p.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(label, decor.WC{W: len(label) + 1, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.text() })),
			mpb.BarWidth(30))
	}
	p.mu.Lock()
	p.all = append(p.all, b)
	p.mu.Unlock()
	return b
}

// Close ends all bars and gives standard error back. It may be called twice.
func (p *Progress) Close() {
	p.mu.Lock()
	all := p.all
	p.all = nil
	p.mu.Unlock()
	for _, b := range all {
		b.Done()
	}
	if p.bars != nil {
		p.mux.route(nil)
		p.bars.Wait()
		p.bars = nil
	}
}

// Add moves the bar by n.
func (b *Bar) Add(n int64) { b.moved(b.current.Add(n)) }

// Set moves the bar to n.
func (b *Bar) Set(n int64) {
	b.current.Store(n)
	b.moved(n)
}

// SetTotal changes what the bar counts up to.
func (b *Bar) SetTotal(n int64) { b.total.Store(n) }

// Done ends the bar where it is.
func (b *Bar) Done() {
	if b.done.Swap(true) {
		return
	}
	b.report(b.current.Load())
	switch {
	case b.bar == nil:
	case b.current.Load() < b.total.Load():
		b.bar.Abort(false)
	default:
		b.bar.SetTotal(-1, true)
	}
}

func (b *Bar) moved(now int64) {
	if b.bar == nil && !b.owner.json {
		return
	}
	every := refresh / 2
	if b.bar == nil {
		every = reportEvery
	}
	elapsed, last := int64(time.Since(b.start)), b.shown.Load()
	if elapsed-last < int64(every) || !b.shown.CompareAndSwap(last, elapsed) {
		return
	}
	if !b.done.Load() {
		b.report(now)
	}
}

// report shows the bar as it is now.
func (b *Bar) report(now int64) {
	if b.bar != nil {
		b.bar.SetTotal(max(b.total.Load(), now), false)
		b.bar.SetCurrent(now)
		return
	}
	if !b.owner.json {
		return
	}
	note := b.noted()
	line, err := json.Marshal(struct {
		Progress string  `json:"progress"`
		Current  int64   `json:"current"`
		Total    int64   `json:"total,omitempty"`
		Seconds  float64 `json:"seconds"`
		ETA      float64 `json:"eta_seconds,omitempty"`
		Note     string  `json:"note,omitempty"`
		Done     bool    `json:"done,omitempty"`
	}{b.label, now, max(b.total.Load(), 0), time.Since(b.start).Seconds(), max(note.ETA, 0), note.Text, b.done.Load()})
	if err == nil {
		// A progress line that cannot be written is not worth failing for.
		_, _ = b.owner.mux.Write(append(line, '\n'))
	}
}

func (b *Bar) text() string {
	now, total, took := b.current.Load(), b.total.Load(), time.Since(b.start)
	if b.unit == Step {
		if b.done.Load() {
			return " done"
		}
		return " " + FormatDuration(took)
	}
	show := func(n int64) string {
		if b.unit == Bytes {
			return FormatSize(n)
		}
		return FormatCount(n)
	}
	text := " " + show(now)
	if total > 0 {
		text += " of " + show(total)
	}
	if b.unit == Bytes {
		text += ", " + FormatRate(now, took)
	} else {
		text += ", " + FormatPerSecond(now, took)
	}
	note := b.noted()
	if note.Text != "" {
		text += ", " + note.Text
	}
	if note.ETA > 0 && !b.done.Load() {
		text += ", " + FormatDuration(time.Duration(note.ETA*float64(time.Second))) + " left"
	}
	return text
}

// noted is the bar's note, an empty one if it has none.
func (b *Bar) noted() Note {
	if n := b.note.Load(); n != nil {
		return *n
	}
	return Note{ETA: -1}
}

// IsTerminal says whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
