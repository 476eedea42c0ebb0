package pitr

import (
	"context"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// PruneNote is what an archive's prune log says of an object that a target
// would need.
type PruneNote struct {
	Store  string    `json:"store"`
	Key    string    `json:"key"` // below the node's prefix
	At     time.Time `json:"at"`  // of its deletion, by the store's clock
	Policy string    `json:"policy"`
}

// prunedFor finds the segment or pack of an LSN among what was pruned, or else the
// newest base at or below it. A log that cannot be read says nothing.
func prunedFor(ctx context.Context, archives []*archive.Archive, tl wal.Timeline, lsn wal.LSN) (*PruneNote, error) {
	var base *PruneNote
	var newest wal.LSN
	for _, a := range archives {
		log, err := anyPruneLog(ctx, a)
		if err != nil {
			return nil, err
		}
		for key, o := range log.Swept() {
			k, err := archive.ParseKey(key)
			if err != nil {
				continue
			}
			note := &PruneNote{Store: a.Store().URL(), Key: key, At: o.At, Policy: o.Policy}
			switch k := k.(type) {
			case archive.SegmentKey:
				if (tl == 0 || k.Timeline == tl) && k.First <= lsn && lsn <= k.Last {
					return note, nil
				}
			case archive.PackKey:
				if (tl == 0 || k.Timeline == tl) && k.First <= lsn && lsn <= k.Last {
					return note, nil
				}
			case archive.BaseKey:
				if (tl == 0 || k.Timeline == tl) && k.LSN <= lsn && k.LSN >= newest {
					base, newest = note, k.LSN
				}
			}
		}
	}
	return base, nil
}
