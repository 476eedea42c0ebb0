package main

import (
	"slices"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// openLoading opens --dir, or a connection for each writer to the node of --addr:
// an answer comes when the write is durable, and the writes of many connections
// share a flush.
func openLoading(c *cli.Call) ([]keyWriter, func(*error), error) {
	n := c.Int("concurrency")
	if yes, err := isRemote(c); err != nil {
		return nil, nil, err
	} else if !yes {
		s, err := openNode(c, opening{create: true, archive: true, tuning: true})
		if err != nil {
			return nil, nil, orAsk(c, err)
		}
		return slices.Repeat([]keyWriter{s.db()}, n), s.closeInto, nil
	}
	var conns []*remote
	var to []keyWriter
	for range n {
		r, err := dial(c)
		if err != nil {
			closing(conns...)(&err)
			return nil, nil, err
		}
		conns, to = append(conns, r), append(to, r)
	}
	return to, closing(conns...), nil
}
