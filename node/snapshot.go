package node

import (
	"context"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// snapshotTime bounds a snapshot of one store's names.
const snapshotTime = 2 * time.Minute

// writeSnapshots leaves a snapshot of the names in every store, after a base: a
// restore plans from it and from what came later, instead of listing everything.
// It is a convenience, so a store that fails is only reported. Footers are not
// read, since that costs requests for each segment.
func (n *Node) writeSnapshots(ctx context.Context) {
	for _, s := range n.opts.Stores {
		a, err := archive.Open(s.Store, n.meta.NodeID)
		if err == nil {
			within, cancel := context.WithTimeout(ctx, snapshotTime)
			_, _, err = archive.WriteSnapshot(within, a, &archive.SnapshotOptions{NamesOnly: true, Clock: n.opts.Clock})
			cancel()
		}
		if err != nil && ctx.Err() == nil {
			n.logger.Warn("no snapshot of the archive's names, plans will list them", "store", s.Store.URL(), "err", err)
		}
	}
}
