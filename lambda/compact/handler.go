package compact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/lambda/function"
)

// Handler merges what events ask for. Archive is required.
type Handler struct {
	Archive  *function.Archive
	Nodes    []string // of events that name none; empty: all
	Segments archive.CompactOptions
	Indexes  index.MergeOptions
	Clock    func() time.Time
}

// Event starts an invocation. What a schedule sends besides is passed over.
type Event struct {
	Nodes []string `json:"nodes"`
}

// Answer is what an invocation did.
type Answer struct {
	Nodes    int      `json:"nodes"`  // done
	Failed   []string `json:"failed"` // could not be done
	Left     []string `json:"left"`   // there was no time for
	Segments int      `json:"merged_segments"`
	Packs    int      `json:"packs"`
	Deleted  int      `json:"deleted_segments"`
	Indexes  int      `json:"merged_indexes"`
	New      int      `json:"new_indexes"`
	Problems int      `json:"problems"`

	packBytes, indexBytes int64
	rows                  int
}

// reserve is kept of an invocation's time, to publish.
const reserve = 5 * time.Second

// Handle merges until the invocation's time is nearly over.
func (h *Handler) Handle(ctx context.Context, e Event) (Answer, error) {
	r := &run{Handler: *h, answer: Answer{Failed: []string{}, Left: []string{}}}
	if r.Clock == nil {
		r.Clock = time.Now
	}
	if r.log = h.Archive.Logger; r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	begun := r.Clock()
	within := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	err := r.all(within, e.Nodes, begun)
	if len(r.answer.Left) > 0 {
		r.log.WarnContext(ctx, "there was no time for some nodes", "left", r.answer.Left)
	}
	return r.answer, errors.Join(err, r.publish(begun))
}

// run is one invocation.
type run struct {
	Handler
	log    *slog.Logger
	answer Answer
}

func (r *run) all(ctx context.Context, nodes []string, begun time.Time) (err error) {
	if len(nodes) == 0 {
		nodes = r.Nodes
	}
	if len(nodes) == 0 {
		if nodes, err = archive.Nodes(ctx, r.Archive.Store); err != nil {
			r.answer.Failed = append(r.answer.Failed, "")
			return err
		}
	}
	if n := len(nodes); n > 0 { // those that there was no time for are not always the same
		first := int(begun.Unix() / 60 % int64(n))
		nodes = slices.Concat(nodes[first:], nodes[:first])
	}
	var failed error
	for i, id := range nodes {
		if ctx.Err() != nil {
			r.answer.Left = append(r.answer.Left, nodes[i:]...)
			break
		}
		err := r.guarded(ctx, id)
		switch {
		case err == nil:
			r.answer.Nodes++
		case ctx.Err() != nil:
			r.answer.Left = append(r.answer.Left, id)
		default:
			r.log.ErrorContext(ctx, "node could not be done", "node", id, "error", err.Error())
			r.answer.Failed = append(r.answer.Failed, id)
			failed = errors.Join(failed, fmt.Errorf("node %s: %w", id, err))
		}
	}
	return failed
}

// guarded does a node whose panic hurts no other.
func (r *run) guarded(ctx context.Context, id string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it ended with a panic: %v", p)
		}
	}()
	a, err := archive.Open(r.Archive.Store, id)
	if err != nil {
		return err
	}
	return r.node(ctx, a.WithIdentities(r.Archive.Identities))
}

// node merges the segments of one node, and then the indexes. What the first could
// not do does not hold back the second.
func (r *run) node(ctx context.Context, a *archive.Archive) error {
	log := r.log.With("node", a.NodeID())
	small, days := r.Segments, r.Indexes
	small.Logger, days.Logger = log, log
	segments, serr := archive.Compact(ctx, a, &small)
	if segments != nil {
		r.answer.Segments += segments.Segments
		r.answer.Packs += segments.PackN
		r.answer.packBytes += segments.PackSize
		r.answer.Deleted += segments.Deleted
		r.answer.Problems += len(segments.Problems)
		for _, p := range segments.Problems {
			log.ErrorContext(ctx, "segments are not merged", "key", p.Key, "reason", p.Reason)
		}
	}
	indexes, ierr := index.Merge(ctx, a, &days)
	if indexes != nil {
		r.answer.Indexes += indexes.Indexes
		r.answer.New += indexes.New
		r.answer.indexBytes += indexes.NewBytes
		r.answer.rows += indexes.Rows
		r.answer.Problems += len(indexes.Problems)
		for _, p := range indexes.Problems {
			log.ErrorContext(ctx, "index is not merged", "key", p.Key, "reason", p.Reason)
		}
	}
	if err := errors.Join(serr, ierr); err != nil {
		return err
	}
	log.InfoContext(ctx, "node is compacted", "segments", segments, "indexes", indexes)
	return nil
}

// publish writes the metrics of the invocation.
func (r *run) publish(begun time.Time) error {
	now, a := r.Clock(), &r.answer
	metric := func(name, unit string, n int64) function.Metric {
		return function.Metric{Name: name, Unit: unit, Value: n}
	}
	count := func(name string, n int) function.Metric { return metric(name, "Count", int64(n)) }
	return function.Emit(r.Archive.Out, now, nil, []function.Metric{
		count("Nodes", a.Nodes), count("Left", len(a.Left)), count("Failed", len(a.Failed)), count("Problems", a.Problems),
		count("MergedSegments", a.Segments), count("Packs", a.Packs), metric("PackBytes", "Bytes", a.packBytes),
		count("DeletedSegments", a.Deleted), count("MergedIndexes", a.Indexes), count("NewIndexes", a.New),
		metric("NewIndexBytes", "Bytes", a.indexBytes), count("Rows", a.rows),
		metric("Milliseconds", "Milliseconds", now.Sub(begun).Milliseconds()),
	}, function.Series{Dimensions: []function.Dimension{{Name: "Function", Value: "compact"}, {Name: "Archive", Value: r.Archive.Name}}})
}
