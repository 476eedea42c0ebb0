package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
)

// IntervalDefault is the time between two looks.
const IntervalDefault = 10 * time.Second

// Watcher indexes what arrives. Each of its ways is run alone.
type Watcher struct {
	// Handler is required: its store, and its node if it is to be one. Told is
	// called from several goroutines.
	Handler *index.Handler
	// Interval is the time between two looks, and before what failed is tried
	// again. 0: IntervalDefault.
	Interval time.Duration
	// Logger defaults to silence.
	Logger *slog.Logger
}

func (w *Watcher) interval() time.Duration {
	if w.Interval <= 0 {
		return IntervalDefault
	}
	return w.Interval
}

func (w *Watcher) log() *slog.Logger {
	if w.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return w.Logger
}

// nodes are those that are watched, by now.
func (w *Watcher) nodes(ctx context.Context) ([]string, error) {
	if w.Handler.NodeID != "" {
		return []string{w.Handler.NodeID}, nil
	}
	return archive.Nodes(ctx, w.Handler.Store)
}

// catchUp indexes all that has no index.
func (w *Watcher) catchUp(ctx context.Context) error {
	nodes, err := w.nodes(ctx)
	if err != nil {
		return err
	}
	for _, id := range nodes {
		if _, err := w.Handler.CatchUp(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for the interval, or for the end.
func (w *Watcher) pause(ctx context.Context) {
	t := time.NewTimer(w.interval())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
