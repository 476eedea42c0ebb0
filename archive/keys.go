package archive

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb-go/nodedb/wal"
)

// KeyUse is what one set of recipients guards. The zero id is what is not
// encrypted.
type KeyUse struct {
	ID         RecipientsID
	Recipients []string // public keys; empty when their object cannot be read
	Ranges     []KeyRange
	Segments   int   // objects of one segment
	Packs      int   // objects of many
	Contents   int   // objects of bases
	Bytes      int64 // of all
}

// KeyRange is a range of LSNs (inclusive) whose segments or packs one set
// guards.
type KeyRange struct {
	Timeline wal.Timeline
	From, To wal.LSN
}

// KeyUses tells which recipients guard which LSNs and how many contents of
// bases, by listing. What is encrypted twice is counted for both.
func (a *Archive) KeyUses(ctx context.Context) ([]KeyUse, error) {
	c, err := a.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	uses := make(map[RecipientsID]*KeyUse)
	use := func(id RecipientsID) *KeyUse {
		if uses[id] == nil {
			uses[id] = &KeyUse{ID: id, Ranges: []KeyRange{}, Recipients: []string{}}
		}
		return uses[id]
	}
	for _, r := range c.Recipients {
		use(r.ID).Recipients = append([]string{}, r.Info.Recipients...)
	}
	for _, s := range c.Segments {
		if s.PackedOnly {
			continue // its pack counts
		}
		u := use(s.Age.Recipients)
		u.Segments++
		u.Bytes += s.Size
		u.Ranges = append(u.Ranges, KeyRange{s.Timeline, s.First, s.Last})
	}
	for _, p := range c.Packs {
		u := use(p.Age.Recipients)
		u.Packs++
		u.Bytes += p.Size
		u.Ranges = append(u.Ranges, KeyRange{p.Timeline, p.First, p.Last})
	}
	err = a.Objects(ctx, func(o ObjEntry) error {
		u := use(o.Age.Recipients)
		u.Contents++
		u.Bytes += o.Size
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]KeyUse, 0, len(uses))
	for _, u := range uses {
		u.Ranges = joinRanges(u.Ranges)
		out = append(out, *u)
	}
	slices.SortFunc(out, func(x, y KeyUse) int { return cmp.Compare(x.ID.String(), y.ID.String()) })
	return out, nil
}

// joinRanges puts ranges in order, and joins those that touch.
func joinRanges(in []KeyRange) []KeyRange {
	slices.SortFunc(in, func(x, y KeyRange) int {
		return cmp.Or(cmp.Compare(x.Timeline, y.Timeline), cmp.Compare(x.From, y.From))
	})
	out := in[:0]
	for _, r := range in {
		if n := len(out); n > 0 && out[n-1].Timeline == r.Timeline && r.From <= out[n-1].To+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// String is the range for people.
func (r KeyRange) String() string {
	return fmt.Sprintf("timeline %d LSN %d to %d", uint32(r.Timeline), uint64(r.From), uint64(r.To))
}
