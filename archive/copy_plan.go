package archive

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// copyItem is one object that is to be in the target.
type copyItem struct {
	path    string // below the node's prefix
	key     Key
	phase   copyPhase
	size    int64
	sources []copySource // that list it, in the order of the stores
}

type copySource struct {
	store int
	obj   Object
}

// copyPhase orders a copy. Each phase is complete before the next begins.
type copyPhase uint8

const (
	phaseFormat  copyPhase = iota
	phaseEpoch             // before segments: they say which part of those is history
	phasePin               // before what they keep, so that nobody prunes it meanwhile
	phaseGap               //
	phaseKeys              // recipients, before what is encrypted for them
	phaseWAL               // by LSN
	phaseContent           // of bases
	phaseBase              // manifests, when all that they name is there
	phaseIndex
	phaseNone // not copied: what a store says of itself
)

func phaseOf(k Key) copyPhase {
	switch k.(type) {
	case FormatKey:
		return phaseFormat
	case EpochKey:
		return phaseEpoch
	case PinKey:
		return phasePin
	case GapKey:
		return phaseGap
	case RecipientsKey:
		return phaseKeys
	case SegmentKey, PackKey:
		return phaseWAL
	case ObjKey:
		return phaseContent
	case BaseKey:
		return phaseBase
	case IndexKey, MergedKey:
		return phaseIndex
	}
	return phaseNone
}

// list finds out what the sources and the target hold. A source that does not
// answer is a problem, unless it is the only one.
func (r *copyRun) list(ctx context.Context) error {
	found := make(map[string]*copyItem)
	answered := false
	var last error
	for i, a := range r.from {
		err := r.again(ctx, func() error { return r.listSource(ctx, i, a, found) })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			last = fmt.Errorf("list archive of node %s in %s: %w", r.nodeID, a.store.URL(), err)
			r.problem("", fmt.Errorf("what only this store holds is not copied: %w", last))
			continue
		}
		answered = true
	}
	if !answered {
		return last
	}
	r.items = planCopy(found, r.only)
	for _, it := range r.items {
		r.progress.ObjectsTotal++
		r.progress.BytesTotal += it.size
	}
	return r.again(ctx, func() error { return r.listTarget(ctx) })
}

// planCopy puts the objects into the order in which they may travel.
func planCopy(found map[string]*copyItem, only func(Key) bool) []*copyItem {
	var items []*copyItem
	for _, it := range found {
		it.phase = phaseOf(it.key)
		if it.phase != phaseNone && (only == nil || only(it.key)) {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(x, y *copyItem) int {
		return cmp.Or(cmp.Compare(x.phase, y.phase), cmp.Compare(x.path, y.path))
	})
	return items
}

// listSource adds what one source holds. Manifests are listed before contents,
// so all contents of a listed base are listed too; and epochs once more after
// the segments, so that whoever fenced the writer of a segment is known.
func (r *copyRun) listSource(ctx context.Context, i int, a *Archive, found map[string]*copyItem) error {
	prefix := NodePrefix(r.nodeID)
	foreign := make(map[string]bool)
	add := func(o Object) {
		path := strings.TrimPrefix(o.Key, prefix)
		k, err := ParseKey(path)
		if err != nil {
			foreign[o.Key] = true
			return
		}
		it := found[path]
		if it == nil {
			it = &copyItem{path: path, key: k, size: o.Size}
			found[path] = it
		}
		if n := len(it.sources); n == 0 || it.sources[n-1].store != i {
			it.sources = append(it.sources, copySource{i, o})
		}
	}
	for _, dir := range []string{prefix, prefix + "epoch/"} {
		for o, err := range a.store.List(ctx, dir, "") {
			if err != nil {
				return err
			}
			add(o)
		}
	}
	r.report.Foreign += len(foreign)
	return nil
}

func (r *copyRun) listTarget(ctx context.Context) error {
	prefix := NodePrefix(r.nodeID)
	r.there = make(map[string]Object)
	for o, err := range r.to.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list the target %s: %w", r.to.URL(), err)
		}
		r.there[strings.TrimPrefix(o.Key, prefix)] = o
	}
	return nil
}
