package admin

import (
	"bytes"
	"net/http"
	"time"

	"github.com/nodedb-go/nodedb/internal/draw"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

type historyDoc struct {
	*pitr.Description
	Points []Point   `json:"points"`
	ReadAt time.Time `json:"read_at"`
	Error  string    `json:"error,omitempty"` // of the last reading; what is here is from the one before
	Drill  *Drill    `json:"drill,omitempty"`
}

// wanted gives the history, and waits for the first reading.
func (s *Server) wanted(w http.ResponseWriter, r *http.Request, n *node.Node) (view, bool) {
	if s.opts.History == nil {
		fail(w, http.StatusNotFound, "the node has no archive")
		return view{}, false
	}
	archived := n.Status().Watermarks.Archived
	v, done := s.history.look(archived, historyAgePage)
	if v.History == nil && done != nil {
		select {
		case <-done:
		case <-r.Context().Done():
		}
		v, _ = s.history.look(archived, historyAgePage)
	}
	if v.History == nil {
		fail(w, http.StatusBadGateway, "the archive cannot be read; the log says why")
		return v, false
	}
	return v, true
}

func (s *Server) showHistory(w http.ResponseWriter, r *http.Request, n *node.Node) {
	v, ok := s.wanted(w, r, n)
	if !ok {
		return
	}
	d := historyDoc{Description: v.Description, Points: v.Points, ReadAt: v.at.UTC(), Drill: v.Drill}
	if v.err != nil {
		d.Error = v.err.Error()
	}
	answer(w, http.StatusOK, d)
}

func (s *Server) drawHistory(w http.ResponseWriter, r *http.Request, n *node.Node) {
	v, ok := s.wanted(w, r, n)
	if !ok {
		return
	}
	var b bytes.Buffer
	if err := draw.New(v.Description, v.marks()).SVG(&b); err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	// The picture brings its own style.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(b.Bytes())
}
