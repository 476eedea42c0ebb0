package index

import (
	"context"
	"errors"

	"github.com/nodedb-go/nodedb/archive"
	archiveindex "github.com/nodedb-go/nodedb/archive/index"
)

// Event indexes what the text of one event names, for who has no queue. It is nil
// when all segments in it are done with; errors match ErrPoison or ErrForeign,
// or may pass.
func (h *Handler) Event(ctx context.Context, text string) error {
	r := h.begin()
	if err := r.event(ctx, text); err != nil {
		return err
	}
	c := &r.counts
	if c.Foreign > 0 && c.Indexed+c.Existed+c.Encrypted+c.Gone+c.Other == 0 {
		return ErrForeign
	}
	return nil
}

// Object indexes one object, if it is a segment of this archive. Errors match
// ErrPoison, or may pass.
func (h *Handler) Object(ctx context.Context, c Change) error {
	return h.begin().object(ctx, c)
}

// CatchUp indexes every segment of a node that has no index, and gives what it
// saw. Trouble of the store ends it; what cannot be indexed is told and left.
func (h *Handler) CatchUp(ctx context.Context, nodeID string) (*archive.Catalog, error) {
	a, err := archive.Open(h.Store, nodeID)
	if err != nil {
		return nil, err
	}
	a = a.WithIdentities(h.Identities)
	c, err := a.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	r := h.begin()
	for _, s := range archiveindex.Missing(c) {
		if err := r.segment(ctx, a, s); err != nil && !errors.Is(err, ErrPoison) {
			return nil, err
		}
	}
	return c, nil
}
