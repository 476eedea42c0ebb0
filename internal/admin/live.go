package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/node"
)

// live are the streams that run. Each has its own ticker, so that without a listener
// there is none.
type live struct {
	tick      func() (<-chan time.Time, func())
	listeners atomic.Int64
	once      sync.Once
	init      sync.Once
	ended     chan struct{}
}

// listenersMax streams at a time: each looks at the node once a second.
const listenersMax = 16

func secondTick() (<-chan time.Time, func()) {
	t := time.NewTicker(time.Second)
	return t.C, t.Stop
}

func (l *live) done() chan struct{} {
	l.init.Do(func() { l.ended = make(chan struct{}) })
	return l.ended
}

func (l *live) stop() { l.once.Do(func() { close(l.done()) }) }

// Beat is one second of the stream.
type Beat struct {
	Time     time.Time `json:"time"`
	Writes   float64   `json:"writes"`   // records a second
	Bytes    float64   `json:"bytes"`    // of log, a second
	Syncs    float64   `json:"syncs"`    // a second
	Commands float64   `json:"commands"` // of Redis clients, a second
	// What clients waited for, by node.Status.Updates; 0: no update has ended.
	P50 float64 `json:"update_p50_ms"`
	P99 float64 `json:"update_p99_ms"`
	// Of that, the disk's part: write and sync of a group; 0: none was committed.
	CommitP50 float64 `json:"commit_p50_ms"`
	CommitP99 float64 `json:"commit_p99_ms"`

	Queued   int     `json:"queued"` // tasks of all cores
	Clients  int     `json:"clients"`
	LagBytes int64   `json:"lag_bytes"`
	Lag      float64 `json:"lag_seconds"`
	Durable  uint64  `json:"durable_lsn"`
	Ready    bool    `json:"ready"`
}

// pulse is what two beats are told from.
type pulse struct {
	at time.Time
	st node.Status
	cl ClientStats
}

func (s *Server) pulse(n *node.Node) pulse {
	p := pulse{at: s.opts.Clock(), st: n.Status()}
	if s.opts.Clients != nil {
		p.cl = s.opts.Clients()
	}
	return p
}

func (p *pulse) since(last *pulse) Beat {
	seconds := max(p.at.Sub(last.at).Seconds(), 1e-3)
	a, b := &last.st.Log.Stats, &p.st.Log.Stats
	rate := func(from, to uint64) float64 { return float64(to-from) / seconds }
	updates, commits := p.st.Updates.Since(&last.st.Updates), b.SyncMicros.Since(&a.SyncMicros)
	out := Beat{
		Time: p.at.UTC(), Writes: rate(a.Records, b.Records), Bytes: rate(a.Bytes, b.Bytes), Syncs: rate(a.Syncs, b.Syncs),
		// CONFIG RESETSTAT may have set them back.
		Commands: float64(max(p.cl.Commands-last.cl.Commands, 0)) / seconds, Clients: p.cl.Clients,
		P50: millis(updates.Quantile(0.50)), P99: millis(updates.Quantile(0.99)),
		CommitP50: millis(commits.Quantile(0.50)), CommitP99: millis(commits.Quantile(0.99)),
		Durable: uint64(p.st.Watermarks.Durable), Lag: p.st.Lag.Age(p.at).Seconds(),
	}
	for i := range p.st.Cores {
		out.Queued += p.st.Cores[i].Metrics.Depth
	}
	if p.st.Lag != nil {
		out.LagBytes = p.st.Lag.Bytes
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// stream sends a beat a second as server-sent events, until the listener goes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, n *node.Node) {
	if s.live.listeners.Add(1) > listenersMax {
		s.live.listeners.Add(-1)
		fail(w, http.StatusServiceUnavailable, "too many listeners")
		return
	}
	defer s.live.listeners.Add(-1)
	c := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	last := s.pulse(n)
	if c.Flush() != nil || r.Method == http.MethodHead {
		return
	}
	ticks, stop := s.live.tick()
	defer stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.live.done():
			return
		case <-ticks:
		}
		now := s.pulse(n)
		beat := now.since(&last)
		beat.Ready = s.health().OK
		last = now
		doc, err := json.Marshal(beat)
		if err != nil {
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(answerTimeout)) // of this beat; a recorder in tests has none
		if _, err := fmt.Fprintf(w, "data: %s\n\n", doc); err != nil || c.Flush() != nil {
			return
		}
	}
}
