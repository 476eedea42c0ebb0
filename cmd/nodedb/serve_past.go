package main

import (
	"context"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// pastAtOnce bounds what questions about the past take: each reads segments.
const pastAtOnce = 2

// past answers GET key AT from the stores of the node; nil: it has none.
func past(c *cli.Call, s *session) func(ctx context.Context, tenant uint32, key []byte, lsn wal.LSN, at time.Time) ([]byte, error) {
	if len(s.stores) == 0 {
		return nil
	}
	turn := make(chan struct{}, pastAtOnce)
	return func(ctx context.Context, tenant uint32, key []byte, lsn wal.LSN, at time.Time) ([]byte, error) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		id := s.Status().NodeID
		var archives []*archive.Archive
		for _, st := range s.stores {
			a, err := archive.Open(st.Store, id)
			if err != nil {
				return nil, err
			}
			archives = append(archives, a)
		}
		q, err := pitr.NewQuery(ctx, archives, &pitr.QueryOptions{Restore: pitr.Options{Logger: c.Log}})
		if err != nil {
			return nil, err
		}
		v, err := q.Get(ctx, pitr.Target{LSN: lsn, Time: at}, tenant, key)
		if err != nil {
			return nil, err
		}
		if !v.Found {
			return nil, node.ErrNotFound
		}
		return v.Value, nil
	}
}
