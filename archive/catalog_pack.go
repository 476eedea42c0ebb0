package archive

import (
	"context"
	"errors"
)

// readPacks reads the indexes of the packs, a few at a time, and makes each
// segment in them known: the pack serves it, whether or not its own object is
// still there. A pack whose index cannot be used is a problem.
func (a *Archive) readPacks(ctx context.Context, c *Catalog) error {
	if len(c.Packs) == 0 {
		return nil
	}
	indexes := make([]*packIndex, len(c.Packs))
	problems := make([]error, len(c.Packs))
	err := forEach(ctx, len(c.Packs), func(ctx context.Context, i int) error {
		x, err := a.openPack(ctx, c.Packs[i])
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCold) {
			problems[i] = err
			return nil
		}
		indexes[i] = x
		return err
	})
	if err != nil {
		return err
	}
	own := make(map[SegmentKey][]int, len(c.Segments))
	for i := range c.Segments {
		k := readersOf(c.Segments[i].SegmentKey)
		own[k] = append(own[k], i)
	}
	for i, x := range indexes {
		if x == nil && errors.Is(problems[i], ErrNotFound) {
			continue // gone since it was listed, or since a snapshot named it
		}
		if x == nil {
			c.Problems = append(c.Problems, problems[i])
			continue
		}
		for j := range x.Entries {
			a.addPacked(c, own, c.Packs[i], x, j)
		}
	}
	return nil
}

// readersOf is the key of a segment's content for those who can read it. What
// is encrypted for others, or for nobody, stands beside it.
func readersOf(k SegmentKey) SegmentKey {
	k.Age.MD5 = ShortSum{}
	return k
}

func (a *Archive) addPacked(c *Catalog, own map[SegmentKey][]int, pack PackEntry, x *packIndex, j int) {
	e := &x.Entries[j]
	k := e.key(x.Timeline)
	k.Age = pack.Age
	p := &Packed{Pack: pack, Offset: e.Offset, Bytes: e.Bytes, SHA256: e.SHA256, ContentBytes: x.content()}
	if pack.Age.Encrypted() {
		p.tail = x.len()
	}
	sealed := max(1, int64(float64(pack.Size)*float64(e.Bytes)/float64(p.ContentBytes)))
	if there := own[readersOf(k)]; len(there) > 0 {
		for _, at := range there {
			if c.Segments[at].Packed == nil {
				c.Segments[at].Packed = p
			}
		}
		return
	}
	own[readersOf(k)] = []int{len(c.Segments)}
	c.Segments = append(c.Segments, SegmentEntry{SegmentKey: k, Packed: p, PackedOnly: true,
		Object: Object{Key: a.Key(k), Size: sealed, ModTime: pack.ModTime, Class: pack.Class}})
}
