package admin

import (
	"fmt"
	"net/http"
	"time"

	"github.com/nodedb-go/nodedb/node"
)

// Reason is one cause of a node that is not ready.
type Reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Health is the answer of /livez and /readyz.
type Health struct {
	OK      bool     `json:"ok"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// livez says that the process answers. A node that is not ready must not be killed
// for that.
func (*Server) livez(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Health{OK: true})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	h := s.health()
	code := http.StatusOK
	if !h.OK {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, h)
}

// health looks at everything that keeps the node from its work, or from being
// restored as far as promised. It is open to everybody: it names no keys, paths
// or stores.
func (s *Server) health() Health {
	var h Health
	bad := func(code, format string, args ...any) {
		h.Reasons = append(h.Reasons, Reason{code, fmt.Sprintf(format, args...)})
	}
	if s.draining.Load() {
		bad("draining", "the node is being stopped")
	}
	n := s.node.Load()
	if n == nil {
		bad("recovering", "the node is not open yet: it replays its log, or waits for its archive")
		return h
	}
	st := n.Status()
	s.judge(&st, bad)
	h.OK = len(h.Reasons) == 0
	return h
}

// checkpointsFailedMax in a row: one may meet a full disk, more fill it.
const checkpointsFailedMax = 3

func (s *Server) judge(st *node.Status, bad func(code, format string, args ...any)) {
	if !st.Writable {
		bad("not_writable", "the node takes no writes")
	}
	degraded, sick := 0, 0
	for i := range st.Cores {
		if st.Cores[i].Degraded {
			degraded++
		}
	}
	for i := range st.Shards {
		if st.Shards[i].State != "serving" {
			sick++
		}
	}
	if degraded > 0 {
		bad("degraded", "%d of %d cores are degraded", degraded, len(st.Cores))
	}
	if sick > 0 {
		bad("shards", "%d of %d vshards do not serve", sick, len(st.Shards))
	}
	if n := st.Checkpoints.InARow; n >= checkpointsFailedMax {
		bad("checkpoints", "the last %d checkpoints failed", n)
	}
	if st.Archive != nil && st.Archive.Fenced != "" {
		bad("fenced", "another node has taken over the archive")
	}
	if lag := st.Lag.Age(s.opts.Clock()); s.opts.ReadyLag > 0 && lag > s.opts.ReadyLag {
		bad("archive_lag", "the archive is %s behind, %s is allowed", lag.Round(time.Second), s.opts.ReadyLag)
	}
}
