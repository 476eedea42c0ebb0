package retain

import (
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// Stage is where an object that is not needed stands.
type Stage string

// The stages of an item.
const (
	StageMark     Stage = "mark"     // will be marked
	StageWait     Stage = "wait"     // marked; the grace period runs
	StageDelete   Stage = "delete"   // marked and due
	StageDeleted  Stage = "deleted"  // gone
	StageRetained Stage = "retained" // its store keeps it for now
	StagePending  Stage = "pending"  // not tried, or the answer is not known
)

// Item is an object that is not needed.
type Item struct {
	Key    string    `json:"key"` // below the node's prefix
	Bytes  int64     `json:"bytes"`
	Stage  Stage     `json:"stage"`
	Reason string    `json:"reason"`
	Due    time.Time `json:"due,omitzero"`   // not deleted before
	Until  time.Time `json:"until,omitzero"` // of a retained one, when the store told
	Hold   bool      `json:"hold,omitempty"` // the store told of no end

	object archive.Object
	class  int // order of deletion
}

// Order of deletion: what names goes before what is named.
const (
	classManifest = iota
	classLog
	classContent
)

// garbage lists what no decision needs. With a base under way, contents are
// left alone.
func (v *view) garbage(now time.Time, ds ...*Decision) (items []Item, kept map[string]string) {
	kept = make(map[string]string)
	add := func(o archive.Object, key string, class int, ask func(*Decision) (bool, string)) {
		var why string
		for _, d := range ds {
			var keep bool
			if keep, why = ask(d); keep {
				kept[key] = why
				return
			}
		}
		items = append(items, Item{Key: key, Bytes: o.Size, Reason: why, object: o, class: class})
	}
	c := v.catalog
	finished := make(map[archive.BaseKey]bool)
	for _, b := range c.Bases {
		finished[b.BaseKey] = true
		add(b.Object, b.String(), classManifest, func(d *Decision) (bool, string) { return d.Base(b.BaseKey) })
	}
	for _, s := range c.Segments {
		if s.PackedOnly {
			continue
		}
		add(s.Object, s.String(), classLog, func(d *Decision) (bool, string) {
			keep, why := d.Segment(s)
			if _, unclear := d.all(); keep && !unclear && why != highestLSN && v.covers(s) {
				return false, "a pack holds it too: " + s.Packed.Pack.String()
			}
			return keep, why
		})
	}
	for _, p := range c.Packs {
		add(p.Object, p.String(), classLog, func(d *Decision) (bool, string) { return d.Pack(p.PackKey) })
	}
	for _, p := range v.facts.Pins {
		for _, e := range c.Pins {
			if e.Name == p.Name && p.Expired(now) {
				add(e.Object, e.String(), classLog, func(*Decision) (bool, string) {
					return false, "expired " + p.ExpiresAt.UTC().Format(time.RFC3339)
				})
			}
		}
	}
	for _, o := range v.superseded() {
		add(o.Object, o.key, classLog, func(*Decision) (bool, string) { return false, o.why })
	}
	underWay := ""
	for _, b := range c.Begun {
		over := finished[archive.BaseKey(b.BegunKey)]
		if !over && now.Sub(b.ModTime) < archive.BaseUnderWayFor {
			underWay = b.String()
			continue
		}
		add(b.Object, b.String(), classLog, func(*Decision) (bool, string) { return false, "the base that it announced is finished or given up" })
	}
	for _, o := range v.contents {
		if underWay != "" {
			kept[o.String()] = "a base is under way: " + underWay
			continue
		}
		add(o.Object, o.String(), classContent, func(d *Decision) (bool, string) { return d.Content(o.SHA256) })
	}
	return items, kept
}

// stage says of each item how far it is, and which marks no longer count:
// those of objects that are needed again, or that are other objects now.
func (v *view) stage(items []Item, kept map[string]string, now time.Time, grace time.Duration) (voided []string) {
	marks := v.log.Marks()
	for i := range items {
		it := &items[i]
		m, ok := marks[it.Key]
		if ok && !m.Is(it.object) {
			voided, ok = append(voided, it.Key), false
		}
		switch {
		case !ok || now.Add(grace).Before(m.Due):
			it.Stage, it.Due = StageMark, now.Add(grace)
		case now.Before(m.Due):
			it.Stage, it.Due = StageWait, m.Due
		default:
			it.Stage, it.Due = StageDelete, m.Due
		}
		if ok && m.Retained != nil {
			it.Until, it.Hold = m.Retained.Until, m.Retained.Hold
		}
	}
	for key := range kept {
		if _, ok := marks[key]; ok {
			voided = append(voided, key)
		}
	}
	return voided
}

// Totals counts the items of a stage and their bytes.
func (r *StoreReport) Totals(s Stage) (n int, bytes int64) {
	for _, it := range r.Items {
		if it.Stage == s {
			n++
			bytes += it.Bytes
		}
	}
	return n, bytes
}

// String is the item in one line.
func (it Item) String() string { return fmt.Sprintf("%s %s: %s", it.Stage, it.Key, it.Reason) }
