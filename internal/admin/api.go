package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func (s *Server) apiRoutes(t map[string]route) {
	t["/api/status"] = route{http.MethodGet, forRead, s.withNode(s.status), false}
	t["/api/history"] = route{http.MethodGet, forRead, s.withNode(s.showHistory), true}
	t["/api/history.svg"] = route{http.MethodGet, forRead, s.withNode(s.drawHistory), true}
	t["/api/live"] = route{http.MethodGet, forRead, s.withNode(s.stream), true}
	t["/api/checkpoint"] = route{http.MethodPost, forChange, change(s, func(ctx context.Context, n *node.Node, _ noBody) (any, error) {
		return n.Checkpoint(ctx)
	}), true}
	t["/api/backup"] = route{http.MethodPost, forChange, change(s, func(ctx context.Context, n *node.Node, _ noBody) (any, error) {
		b, err := n.Backup(ctx)
		return b.Summary(), err
	}), true}
	t["/api/seal"] = route{http.MethodPost, forChange, change(s, func(ctx context.Context, n *node.Node, _ noBody) (any, error) {
		lsn, err := n.Seal(ctx)
		return sealDoc{lsn}, err
	}), true}
	t["/api/push"] = route{http.MethodPost, forChange, change(s, s.push), true}
	t["/api/digest"] = route{http.MethodPost, forChange, change(s, func(ctx context.Context, n *node.Node, _ noBody) (any, error) {
		return n.Digest(ctx)
	}), true}
	t["/api/restore-point"] = route{http.MethodPost, forChange, change(s, func(ctx context.Context, n *node.Node, b pointBody) (any, error) {
		lsn, at, err := n.RestorePoint(ctx, b.Name)
		return pointDoc{b.Name, lsn, at}, err
	}), true}
}

// The documents are those of the verbs of nodedb with --json.
type (
	noBody    struct{}
	pointBody struct {
		Name string `json:"name"`
	}
	sealDoc struct {
		LSN wal.LSN `json:"lsn"`
	}
	pushDoc struct {
		Archived wal.LSN       `json:"archived_lsn"`
		Sent     int64         `json:"waited_bytes"`
		Took     time.Duration `json:"duration_ns"`
	}
	pointDoc struct {
		Name string    `json:"name"`
		LSN  wal.LSN   `json:"lsn"`
		Time time.Time `json:"time"`
	}
)

// push seals the log and waits until every required store has it.
func (s *Server) push(ctx context.Context, n *node.Node, _ noBody) (any, error) {
	began := s.opts.Clock()
	if n.Status().Archive == nil {
		return nil, node.ErrNoArchive
	}
	lsn, err := n.Seal(ctx)
	if err != nil {
		return nil, err
	}
	waiting := n.Status().Archive.WaitingBytes
	if err := n.WaitArchived(ctx, lsn); err != nil {
		return nil, fmt.Errorf("archive the log up to LSN %d: %w", lsn, err)
	}
	return pushDoc{lsn, waiting, s.opts.Clock().Sub(began)}, nil
}

// withNode answers for the node while there is none.
func (s *Server) withNode(f func(http.ResponseWriter, *http.Request, *node.Node)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		n := s.node.Load()
		if n == nil {
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "the node is not open yet")
			return
		}
		f(w, r, n)
	}
}

// change runs what a POST asks for. It ends with the request: who goes away before
// the answer may find it half done, and does it again.
func change[B any](s *Server, do func(context.Context, *node.Node, B) (any, error)) func(http.ResponseWriter, *http.Request) {
	return s.withNode(func(w http.ResponseWriter, r *http.Request, n *node.Node) {
		var body B
		if err := readBody(r, &body); err != nil {
			fail(w, http.StatusBadRequest, "the body is no such JSON document: "+err.Error())
			return
		}
		patient(w)
		doc, err := do(r.Context(), n, body)
		if err != nil {
			s.opts.Logger.Warn("admin request failed", "path", r.URL.Path, "err", err)
			answer(w, statusOf(err), failure{err.Error(), kindOf(err)})
			return
		}
		answer(w, http.StatusOK, doc)
	})
}

// readBody takes an empty body for an empty document.
func readBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows behind it")
	}
	return nil
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, node.ErrPointName):
		return http.StatusBadRequest
	case errors.Is(err, node.ErrNoArchive):
		return http.StatusConflict
	case errors.Is(err, node.ErrClosed), errors.Is(err, node.ErrReadOnly), errors.Is(err, node.ErrOverloaded), errors.Is(err, archive.ErrFenced):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// kindOf names what a program must tell from other failures, as the verbs of nodedb
// do with --json.
func kindOf(err error) string {
	if errors.Is(err, archive.ErrFenced) {
		return "fenced"
	}
	return ""
}

type statusDoc struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Health  Health    `json:"health"`
	node.Status
	LagSeconds float64     `json:"archive_lag_seconds"`
	Clients    ClientStats `json:"clients"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request, n *node.Node) {
	now := s.opts.Clock()
	d := statusDoc{Version: s.opts.Version, Time: now.UTC(), Health: s.health(), Status: n.Status()}
	d.LagSeconds = d.Lag.Age(now).Seconds()
	if s.opts.Clients != nil {
		d.Clients = s.opts.Clients()
	}
	answer(w, http.StatusOK, d)
}
