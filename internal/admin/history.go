package admin

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/internal/draw"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// History is what the archive holds of the node.
type History struct {
	Description *pitr.Description
	Points      []Point
	Entries     int // objects in the listing
	Ignored     int // of them, not the node's
	Drill       *Drill
}

// Point is a named moment.
type Point struct {
	Name     string       `json:"name"`
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"`
	Time     time.Time    `json:"time"`
}

// Drill is the newest restore that was proven.
type Drill struct {
	At      time.Time `json:"at"`
	LSN     wal.LSN   `json:"lsn"`
	Seconds float64   `json:"seconds"`
}

// AddPoint takes a point in, once: several stores hold it.
func (h *History) AddPoint(p Point) {
	if !slices.Contains(h.Points, p) {
		h.Points = append(h.Points, p)
	}
}

func (h *History) marks() []draw.Mark {
	var out []draw.Mark
	for _, p := range h.Points {
		out = append(out, draw.Mark{Timeline: p.Timeline, Name: p.Name, LSN: p.LSN})
	}
	return out
}

// Times of the cache. Retention and drills change an archive while the node is idle,
// so that it is looked at now and then although nothing was archived.
const (
	historyAgeMin  = time.Minute     // for a scrape
	historyAgePage = 5 * time.Second // for a person
	historyAgeMax  = time.Hour
	historyTimeout = 2 * time.Minute
)

// historyCache reads the archive in the background when somebody asks and it may
// have changed. At most one reading runs.
type historyCache struct {
	s      *Server
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	now      *History
	err      error
	at       time.Time // of the last reading, good or not
	good     time.Time // of the last good one
	upTo     wal.LSN   // archived then
	readings uint64    // that succeeded
	busy     chan struct{}
}

func newHistoryCache(s *Server) *historyCache {
	h := &historyCache{s: s}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

func (h *historyCache) stop() {
	h.mu.Lock()
	h.cancel() // under mu: no reading begins behind it
	h.mu.Unlock()
	h.wg.Wait()
}

// view is what is known, and when it was read.
type view struct {
	*History
	at       time.Time
	err      error
	readings uint64
}

// look gives what is known, and reads again in the background when that is due: the
// archive moved, and the last reading is not younger than young.
// done is closed when the reading that runs now ends; nil: none runs.
func (h *historyCache) look(archived wal.LSN, young time.Duration) (v view, done <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.s.opts.History != nil && h.busy == nil && h.due(archived, young) && h.ctx.Err() == nil {
		h.busy = make(chan struct{})
		h.wg.Add(1)
		go h.read(archived, h.busy)
	}
	return view{h.now, h.good, h.err, h.readings}, h.busy
}

func (h *historyCache) due(archived wal.LSN, young time.Duration) bool {
	age := h.s.opts.Clock().Sub(h.at)
	return h.at.IsZero() || age >= young && (archived != h.upTo || h.err != nil) || age >= historyAgeMax
}

func (h *historyCache) read(archived wal.LSN, done chan struct{}) {
	defer h.wg.Done()
	ctx, cancel := context.WithTimeout(h.ctx, historyTimeout)
	defer cancel()
	got, err := h.s.opts.History(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err, h.upTo, h.busy = h.s.opts.Clock(), err, archived, nil
	if err == nil {
		h.now, h.readings, h.good = got, h.readings+1, h.at
	} else {
		h.s.opts.Logger.Warn("read the history of the archive", "err", err)
	}
	close(done)
}
