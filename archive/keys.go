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
	Segments   int
	Contents   int   // objects of bases
	Bytes      int64 // of both
}

// KeyRange is a range of LSNs (inclusive) whose segments one set guards.
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
		u := use(s.Age.Recipients)
		u.Segments++
		u.Bytes += s.Size
		u.add(KeyRange{s.Timeline, s.First, s.Last})
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
		out = append(out, *u)
	}
	slices.SortFunc(out, func(x, y KeyUse) int { return cmp.Compare(x.ID.String(), y.ID.String()) })
	return out, nil
}

// add joins a range with the last one where they touch. Segments come in order.
func (u *KeyUse) add(r KeyRange) {
	if n := len(u.Ranges); n > 0 {
		last := &u.Ranges[n-1]
		if last.Timeline == r.Timeline && r.From <= last.To+1 {
			last.To = max(last.To, r.To)
			return
		}
	}
	u.Ranges = append(u.Ranges, r)
}

// String is the range for people.
func (r KeyRange) String() string {
	return fmt.Sprintf("timeline %d LSN %d to %d", uint32(r.Timeline), uint64(r.From), uint64(r.To))
}
