package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb-go/nodedb/wal"
)

// TailFrom says from where on Tail lists.
type TailFrom struct {
	Timeline wal.Timeline
	LSN      wal.LSN // the first LSN of the first segment of interest
	Only     bool    // later timelines are left out
	// Epochs are those that the caller knows, ascending. Objects never change:
	// they are not read again.
	Epochs []EpochInfo
}

// Tail is the end of the catalog: segments that begin at or behind a position,
// also those of later timelines, and all epochs. It is for who asks again and
// again. When nothing is new it makes one request, a listing, and Epochs of the
// answer are those that were given. Otherwise the epochs are listed after the
// segments, so that whoever had fenced a segment's writer when it was listed is
// among them.
//
// Gaps, packs and bases are not in it: who finds a hole asks Catalog.
func (a *Archive) Tail(ctx context.Context, from TailFrom) (*Catalog, error) {
	c := &Catalog{NodeID: a.nodeID, Store: a.store.URL(), Epochs: from.Epochs[:len(from.Epochs):len(from.Epochs)]}
	dir := "wal/"
	if from.Only {
		dir = SegmentPrefix(from.Timeline)
	}
	// A name goes on behind its first LSN, so it sorts after this.
	after := SegmentPrefix(from.Timeline) + from.LSN.Hex()
	for o, err := range listKeys[SegmentKey](ctx, a.store, a.nodeID, dir, after) {
		if err != nil {
			return nil, err
		}
		if c.names++; c.names > catalogNamesMax {
			return nil, &ObjectError{Store: c.Store, Key: o.Object.Key, Offset: -1,
				Reason: fmt.Sprintf("it is one of more than %d names behind %s", catalogNamesMax, strings.TrimSuffix(after, "/"))}
		}
		c.Segments = append(c.Segments, SegmentEntry{SegmentKey: o.Key, Object: o.Object})
	}
	if len(c.Segments) == 0 {
		return c, nil
	}
	var last wal.Epoch
	if n := len(from.Epochs); n > 0 {
		last = from.Epochs[n-1].Epoch
	}
	later, err := readEpochsAfter(ctx, a.store, a.nodeID, last)
	if err != nil {
		return nil, err
	}
	c.Epochs = append(c.Epochs, later...)
	c.finish(a.ids)
	return c, nil
}
