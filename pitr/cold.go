package pitr

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
)

// PlanCold is an object of a plan in a storage class that costs money or hours.
type PlanCold struct {
	Key   string               `json:"key"` // below the node's prefix
	Store string               `json:"store"`
	Class archive.StorageClass `json:"class"`
	Bytes int64                `json:"bytes"`
	Thaw  bool                 `json:"must_thaw"` // it cannot be read before that
}

const (
	// coldStatsMax bounds the questions of a plan whether a cold object was
	// thawed already. What is behind it counts as frozen.
	coldStatsMax = 10_000
	coldParallel = 16
)

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

// carrier is the object of a store that a segment is read from: its own, or the
// pack that stands in for it.
func carrier(e archive.SegmentEntry) archive.Object {
	if e.Packed != nil && (e.PackedOnly || e.Class.Cold() && !e.Packed.Pack.Class.Cold()) {
		return e.Packed.Pack.Object
	}
	return e.Object
}

// carrierOf is the carrier of a segment in a store.
func (s *sources) carrierOf(store int, key string) (archive.Object, bool) {
	entries := s.entriesOf(store, key)
	if len(entries) == 0 {
		return archive.Object{}, false
	}
	return carrier(entries[0]), true
}

// place is an object in one of the stores.
type place struct {
	store int
	key   string
}

// findCold lists what a fee or a wait stands before. Stores are asked about what
// is cold by their listing: of an object that was thawed a copy is readable, so it
// counts as warm, and the store that has one is asked first.
func (p *Plan) findCold(ctx context.Context) error {
	contents, err := p.coldContents(ctx)
	if err != nil {
		return err
	}
	segments := p.read()
	var ask []place
	for _, s := range segments {
		for _, i := range s.Stores {
			if o, ok := p.src.carrierOf(i, s.Key); ok && s.Class.Cold() && o.Class.Cold() {
				ask = append(ask, place{i, o.Key})
			}
		}
	}
	for _, o := range contents {
		if o.Class.Cold() {
			ask = append(ask, place{p.Base.Stores[0], o.Key})
		}
	}
	now, err := p.src.coldNow(ctx, ask)
	if err != nil {
		return err
	}
	p.listCold(segments, contents, now)
	p.warnCold()
	return nil
}

// read are the segments that a restore reads, to be changed in place.
func (p *Plan) read() []*PlanSegment {
	var out []*PlanSegment
	for i := range p.Segments {
		out = append(out, &p.Segments[i])
	}
	if p.Proof != nil {
		out = append(out, p.Proof)
	}
	return out
}

// listCold fills Cold, each object once.
func (p *Plan) listCold(segments []*PlanSegment, contents []archive.Object, now map[place]archive.StorageClass) {
	seen := make(map[place]bool)
	add := func(store int, o archive.Object) {
		at := place{store, o.Key}
		class := cmp.Or(now[at], o.Class)
		if seen[at] || !class.Costly() {
			return
		}
		seen[at] = true
		p.Cold = append(p.Cold, PlanCold{Key: strings.TrimPrefix(o.Key, archive.NodePrefix(p.NodeID)),
			Store: p.Stores[store], Class: class, Bytes: o.Size, Thaw: class.Cold()})
	}
	for _, s := range segments {
		for n, i := range s.Stores {
			o, _ := p.src.carrierOf(i, s.Key)
			if class := now[place{i, o.Key}]; s.Class.Cold() && class.Thawed() {
				s.Class = class
				s.Stores = append([]int{i}, append(append([]int{}, s.Stores[:n]...), s.Stores[n+1:]...)...)
				break
			}
		}
		if len(s.Stores) > 0 && s.Class.Costly() {
			if o, ok := p.src.carrierOf(s.Stores[0], s.Key); ok {
				add(s.Stores[0], o)
			}
		}
	}
	for _, o := range contents {
		add(p.Base.Stores[0], o)
	}
}

// coldNow asks stores what became of objects that their listings call cold. What
// a store does not tell is left out.
func (s *sources) coldNow(ctx context.Context, ask []place) (map[place]archive.StorageClass, error) {
	known := make(map[place]bool)
	var each []place
	for _, at := range ask {
		if !known[at] && len(each) < coldStatsMax {
			known[at] = true
			each = append(each, at)
		}
	}
	out := make(map[place]archive.StorageClass)
	var mu sync.Mutex
	err := parallel(ctx, coldParallel, len(each), func(ctx context.Context, i int) error {
		o, err := s.archives[each[i].store].Store().Stat(ctx, each[i].key)
		if err != nil || o.Class == "" {
			return ctx.Err() // the listing's answer stands
		}
		mu.Lock()
		defer mu.Unlock()
		out[each[i]] = o.Class
		return nil
	})
	return out, err
}

// anyCostly tells whether a listing showed anything out of its store's ordinary
// class.
func (s *sources) anyCostly() bool {
	for _, c := range s.catalogs {
		if c == nil {
			continue
		}
		if slices.ContainsFunc(c.Segments, func(e archive.SegmentEntry) bool { return e.Class.Costly() }) ||
			slices.ContainsFunc(c.Packs, func(e archive.PackEntry) bool { return e.Class.Costly() }) ||
			slices.ContainsFunc(c.Bases, func(e archive.BaseEntry) bool { return e.Class.Costly() }) {
			return true
		}
	}
	return false
}

// coldContents are the manifest and the contents of the base, with their classes.
// A content may be much older than its base, and colder than the manifest, so all
// of them are looked up, by listing; not in a store that knows no classes.
func (p *Plan) coldContents(ctx context.Context) ([]archive.Object, error) {
	if p.Base == nil || p.Base.Class == "" || !p.contents && !p.src.anyCostly() {
		return nil, nil
	}
	m, err := p.src.manifest(ctx, &base{key: p.Base.Key, stores: p.Base.Stores})
	if err != nil {
		return nil, err
	}
	needed := make(map[[32]byte]bool)
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			if k, err := m.VShards[i].Files[j].Object(); err == nil {
				needed[k.SHA256] = true
			}
		}
	}
	out := []archive.Object{{Key: archive.NodePrefix(p.NodeID) + p.Base.Key, Class: p.Base.Class}}
	copies := make(map[[32]byte]int) // where in out, from 1
	err = p.src.archives[p.Base.Stores[0]].Objects(ctx, func(o archive.ObjEntry) error {
		if !needed[o.SHA256] {
			return nil
		}
		switch at := copies[o.SHA256]; {
		case at == 0:
			out = append(out, o.Object)
			copies[o.SHA256] = len(out)
		case out[at-1].Class.Cold() && !o.Class.Cold(): // for other readers, or not compressed
			out[at-1] = o.Object
		}
		return nil
	})
	return out, err
}

func (p *Plan) warnCold() {
	thaw, bytes := 0, int64(0)
	for _, c := range p.Cold {
		if c.Thaw {
			thaw, bytes = thaw+1, bytes+c.Bytes
		}
	}
	if thaw > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s with %s must be thawed before the restore can read them, which takes hours and is not in the estimate; pitr-restore thaw asks for them",
			counted(thaw, "object"), bytesText(bytes)))
	}
}
