package sweep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/function"
	"github.com/nodedb-go/nodedb/pitr/sweep"
)

// Handler sweeps what events ask for. Archive is required.
type Handler struct {
	Archive *function.Archive
	Nodes   []string // of events that name none; empty: all
	Options sweep.Options
	// NodeMetrics publishes metrics of each node besides those of the archive.
	NodeMetrics bool
}

// Event starts an invocation. What a schedule sends besides is passed over.
type Event struct {
	Nodes []string `json:"nodes"`
}

// Answer is what an invocation did.
type Answer struct {
	Nodes    int      `json:"nodes"`    // swept
	Failed   []string `json:"failed"`   // could not be listed
	Left     []string `json:"left"`     // there was no time for
	Problems int      `json:"problems"` // findings to look at
}

// What is kept of an invocation's time: to publish, and for a step that was begun
// just before.
const (
	reserveMin   = 5 * time.Second
	reserveShare = 10 // one tenth
)

// Handle sweeps until the invocation's time is nearly over.
func (h *Handler) Handle(ctx context.Context, e Event) (Answer, error) {
	f := sweep.Fleet{Stores: []archive.Store{h.Archive.Store}, Nodes: h.Nodes, Identities: h.Archive.Identities, Options: h.Options}
	if len(e.Nodes) > 0 {
		f.Nodes = e.Nodes
	}
	if f.Options.Clock == nil {
		f.Options.Clock = time.Now
	}
	begun := f.Options.Clock()
	f.Options.Seed = uint64(begun.UnixNano())
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		f.Options.Until = begun.Add(left - max(reserveMin, left/reserveShare))
		wctx, cancel := context.WithDeadline(ctx, end.Add(-reserveMin/2))
		defer cancel()
		ctx = wctx
	}
	answer := Answer{Failed: []string{}}
	var publishing error
	f.Each = func(reports []*sweep.Report) {
		for _, r := range reports {
			answer.Nodes++
			answer.Problems += r.Attention()
			if !r.Listed {
				answer.Failed = append(answer.Failed, r.NodeID)
			}
			h.log(ctx, r)
			publishing = errors.Join(publishing, h.publish(r))
		}
	}
	_, left, err := f.Run(ctx)
	answer.Left = append([]string{}, left...)
	log := h.logger()
	if err != nil {
		log.ErrorContext(ctx, "nothing could be swept", "error", err.Error())
		return answer, errors.Join(err, h.nothing(f.Options.Clock()))
	}
	if len(left) > 0 {
		log.WarnContext(ctx, "there was no time for some nodes", "left", left)
	}
	return answer, errors.Join(publishing, h.publishLeft(f.Options.Clock(), len(left)))
}

func (h *Handler) logger() *slog.Logger {
	if h.Archive.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Archive.Logger
}

var levels = map[sweep.Severity]slog.Level{sweep.Problem: slog.LevelError, sweep.Warning: slog.LevelWarn, sweep.Notice: slog.LevelInfo}

// log writes what was found and what was done.
func (h *Handler) log(ctx context.Context, r *sweep.Report) {
	log := h.logger().With("node", r.NodeID)
	for i := range r.Findings {
		f := &r.Findings[i]
		log.Log(ctx, levels[f.Severity], f.Text, "finding", f)
	}
	for _, s := range r.Skipped {
		log.InfoContext(ctx, "step is left out", "step", s.Step, "why", s.Why)
	}
	log.InfoContext(ctx, "node is swept", "report", summary(r))
}

// summary is the report without what is logged by itself.
func summary(r *sweep.Report) *sweep.Report {
	c := *r
	c.Findings, c.Skipped = []sweep.Finding{}, []sweep.Skip{}
	return &c
}
