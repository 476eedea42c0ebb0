package pitr

import (
	"context"
	"fmt"

	"github.com/nodedb-go/nodedb/archive"
)

// PlanCold is an object of a plan in a storage class that costs money or hours.
type PlanCold struct {
	Key   string               `json:"key"`
	Store string               `json:"store"`
	Class archive.StorageClass `json:"class"`
	Bytes int64                `json:"bytes"`
	Thaw  bool                 `json:"must_thaw"` // it cannot be read before that
}

// coldStatsMax bounds the questions whether a cold object was thawed already.
const coldStatsMax = 1000

// addHolder adds store i to those that hold an object. A copy that can be read
// at once goes before one that must be thawed.
func addHolder(stores []int, class archive.StorageClass, i int, its archive.StorageClass) ([]int, archive.StorageClass) {
	if len(stores) == 0 {
		return []int{i}, its
	}
	if class.Cold() && !its.Cold() {
		return append([]int{i}, stores...), its
	}
	return append(stores, i), class
}

// findCold lists what is cold, and asks the store of each whether it was thawed.
// Contents of a base are looked up only when its manifest is in such a class:
// they are as old as it, or older.
func (p *Plan) findCold(ctx context.Context) error {
	stats := 0
	add := func(stores []int, key string, class archive.StorageClass, bytes int64) error {
		if len(stores) == 0 || !class.Costly() {
			return nil
		}
		c := PlanCold{Key: key, Store: p.Stores[stores[0]], Class: class, Bytes: bytes, Thaw: class.Cold()}
		if c.Thaw && stats < coldStatsMax {
			stats++
			o, err := p.src.archives[stores[0]].Store().Stat(ctx, archive.NodePrefix(p.NodeID)+key)
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err == nil && o.Class != "" {
				c.Class, c.Thaw = o.Class, o.Class.Cold()
			}
		}
		p.Cold = append(p.Cold, c)
		return nil
	}
	all := p.Segments
	if p.Proof != nil {
		all = append(all[:len(all):len(all)], *p.Proof)
	}
	for _, s := range all {
		if err := add(s.Stores, s.Key, s.Class, s.Bytes); err != nil {
			return err
		}
	}
	if p.Base != nil && p.Base.Class.Costly() {
		if err := p.coldBase(ctx, add); err != nil {
			return err
		}
	}
	p.warnCold()
	return nil
}

// coldBase looks at the contents of the base with one listing.
func (p *Plan) coldBase(ctx context.Context, add func([]int, string, archive.StorageClass, int64) error) error {
	if err := add(p.Base.Stores, p.Base.Key, p.Base.Class, 0); err != nil {
		return err
	}
	m, err := p.src.manifest(ctx, &base{key: p.Base.Key, stores: p.Base.Stores})
	if err != nil {
		return err
	}
	needed := make(map[[32]byte]bool)
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			if k, err := m.VShards[i].Files[j].Object(); err == nil {
				needed[k.SHA256] = true
			}
		}
	}
	return p.src.archives[p.Base.Stores[0]].Objects(ctx, func(o archive.ObjEntry) error {
		if !needed[o.SHA256] {
			return nil
		}
		return add(p.Base.Stores, o.ObjKey.String(), o.Class, o.Size)
	})
}

func (p *Plan) warnCold() {
	thaw, bytes := 0, int64(0)
	for _, c := range p.Cold {
		if c.Thaw {
			thaw, bytes = thaw+1, bytes+c.Bytes
		}
	}
	if thaw > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s with %s must be thawed before the restore can read them, which takes hours and is not in the estimate; ask the store to restore them first",
			counted(thaw, "object"), bytesText(bytes)))
	}
}
