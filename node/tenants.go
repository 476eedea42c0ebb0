package node

import (
	"context"
	"slices"

	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// Tenants lists the tenants that have entries, in order.
func (n *Node) Tenants(ctx context.Context) ([]uint32, error) {
	if err := n.begin(); err != nil {
		return nil, err
	}
	defer n.end()
	cut, err := n.snapshots(ctx, false)
	if err != nil {
		return nil, err
	}
	defer cut.Close()
	return tenantsOf(cut)
}

func tenantsOf(cut *Cut) ([]uint32, error) {
	seen := make(map[uint32]bool)
	var tenants []uint32
	for _, s := range cut.Snapshots {
		err := kv.Tenants(s.Reader(), func(t uint32) bool {
			if !seen[t] {
				seen[t] = true
				tenants = append(tenants, t)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(tenants)
	return tenants, nil
}
