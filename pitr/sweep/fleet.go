package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// Fleet is many nodes in the same stores.
type Fleet struct {
	Stores     []archive.Store
	Nodes      []string // ids; empty: all that have objects in any of the stores
	Identities *archive.Identities
	// Options of each sweep. Until is the end for all of them: what is left of the
	// time is shared by the nodes that are left, and no node is begun after it.
	Options Options
	// Each is called with a node's reports, one for each store, as they are done.
	Each func([]*Report)
}

// turn is how long the same node goes first, when there is not time for all.
const turn = time.Minute

// Run sweeps all nodes, one after the other, and gives those that there was no time
// for. The only error is that the nodes could not be found out.
func (f *Fleet) Run(ctx context.Context) (reports []*Report, left []string, err error) {
	nodes := slices.Clone(f.Nodes)
	if len(nodes) == 0 {
		if nodes, err = f.find(ctx); err != nil {
			return nil, nil, err
		}
	}
	o := f.Options.withDefaults()
	if n := len(nodes); n > 0 && !o.Until.IsZero() {
		first := int(o.Clock().Unix() / int64(turn/time.Second) % int64(n))
		nodes = slices.Concat(nodes[first:], nodes[:first])
	}
	for i, id := range nodes {
		mine := o
		if !o.Until.IsZero() {
			now := o.Clock()
			if !now.Before(o.Until) {
				return reports, nodes[i:], nil
			}
			mine.Until = now.Add(o.Until.Sub(now) / time.Duration(len(nodes)-i))
		}
		if ctx.Err() != nil {
			return reports, nodes[i:], nil
		}
		done := f.node(ctx, id, &mine)
		reports = append(reports, done...)
		if f.Each != nil {
			f.Each(done)
		}
	}
	return reports, nil, nil
}

// node sweeps one node in every store.
func (f *Fleet) node(ctx context.Context, id string, o *Options) []*Report {
	var out []*Report
	for _, s := range f.Stores {
		out = append(out, f.guarded(ctx, s, id, o))
	}
	CompareEpochs(out)
	return out
}

// guarded is a sweep whose panic hurts no other node.
func (f *Fleet) guarded(ctx context.Context, s archive.Store, id string, o *Options) (r *Report) {
	failed := func(err error) *Report {
		return &Report{Store: s.URL(), NodeID: id, At: o.Clock().UTC(), Skipped: []Skip{},
			Findings: []Finding{{Kind: Undone, Severity: Problem, Text: "could not sweep: " + err.Error(), Err: err}}}
	}
	defer func() {
		if p := recover(); p != nil {
			r = failed(fmt.Errorf("the sweep ended with a panic: %v", p))
		}
	}()
	a, err := archive.Open(s, id)
	if err != nil {
		return failed(err)
	}
	return Run(ctx, a.WithIdentities(f.Identities), o)
}

// find gives the nodes of all stores, in order. One store that does not answer is
// enough for an error: unknown is not absent.
func (f *Fleet) find(ctx context.Context) ([]string, error) {
	var all []string
	for _, s := range f.Stores {
		ids, err := archive.Nodes(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("find the nodes to sweep in %s: %w", s.URL(), err)
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == 0 {
		return nil, errNoNodes
	}
	return all, nil
}

var errNoNodes = errors.New("sweep: no node has an archive there; check the URL, prefix included")
