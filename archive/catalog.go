package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb-go/nodedb/wal"
)

// Archive is one node's history in one store. It holds no state of its own:
// what it tells comes from the store each time.
type Archive struct {
	store  Store
	nodeID string
	ids    *Identities // nil: what is encrypted cannot be read
}

// Open names a node's archive. It makes no request, so it succeeds for a node
// that has none; its catalog is then empty. ErrBadNodeID.
func Open(store Store, nodeID string) (*Archive, error) {
	if !ValidNodeID(nodeID) {
		return nil, fmt.Errorf("%w: %q: use a-z, 0-9, dot, dash and underscore, at most %d characters, first a letter or digit",
			ErrBadNodeID, nodeID, nameLenMax)
	}
	return &Archive{store: store, nodeID: nodeID}, nil
}

// Store is the store that the archive is in.
func (a *Archive) Store() Store { return a.store }

// NodeID is the node whose archive it is.
func (a *Archive) NodeID() string { return a.nodeID }

// Key is the full key of k in the store.
func (a *Archive) Key(k Key) string { return Join(a.nodeID, k) }

// Catalog is what a node's archive holds, by its listing: names alone, and
// the epoch objects.
type Catalog struct {
	NodeID string
	Store  string // URL

	Epochs   []EpochInfo    // by epoch
	Claims   []EpochEntry   // the objects that hold Epochs, unusable ones included; by name
	Segments []SegmentEntry // by timeline, first LSN, last LSN, epoch
	Packs    []PackEntry    // by timeline, first LSN
	Bases    []BaseEntry    // those with a manifest; by timeline, LSN, id
	Gaps     []GapEntry     // by timeline, first LSN
	Pins     []PinEntry     // by name
	Indexes  []IndexEntry   // by timeline, first LSN
	Merged   []MergedEntry  // by timeline, first LSN
	Catalogs []CatalogEntry // by timeline, sequence
	Ledgers  []LedgerEntry  // by sequence
	Proofs   []ProofEntry   // by timeline, LSN
	// Recipients are the sets for which objects were encrypted; by id.
	Recipients []RecipientsEntry
	Begun      []BegunEntry // bases that were begun, finished or not; by timeline, LSN, id
	Prunes     []PruneEntry // by sequence

	// Foreign are objects below the node's prefix, outside obj/, that this
	// program would not have named so. They are never touched. No more than a
	// thousand are remembered.
	Foreign []Object
	// ForeignMore is how many more there are.
	ForeignMore int

	// Problems are epoch objects that cannot be used: damaged (*ObjectError)
	// or of a later version (ErrVersion). What depends on them may be missing.
	// A snapshot that cannot be used is here too; nothing depends on it.
	Problems []error

	// Snapshot helped; nil when none did. Names up to Unlisted (a path below
	// the node's prefix) are from it and were not listed; empty: all were.
	Snapshot *SnapshotInfo
	Unlisted string

	names  int
	behind int // names behind obj/, which a snapshot holds
	known  *snapshot
	record bool     // keep tail
	tail   []Object // names behind obj/, for a snapshot
}

// SegmentEntry is an archived segment. From to To (inclusive) is the part
// that is history: records above To were written by a fenced epoch. A segment
// none of which is history has To < From.
//
// Packed is set when a pack holds the segment too. With PackedOnly there is no
// object of its own any more, for the same readers: Object then has the name
// that it had (of an encrypted pack: with what the pack's name says of its
// readers), and about the bytes that it takes in the pack.
type SegmentEntry struct {
	SegmentKey
	Object
	From, To   wal.LSN
	Bounds     *SegmentBounds // from a snapshot; nil: read the object
	Packed     *Packed
	PackedOnly bool
}

// Dead tells that no part of the segment is history.
func (s SegmentEntry) Dead() bool { return s.To < s.From }

// EpochEntry is an epoch's object.
type EpochEntry struct {
	EpochKey
	Object
}

// BaseEntry is a base with its manifest object.
type BaseEntry struct {
	BaseKey
	Object
	Summary *SnapshotBase // from a snapshot; nil: read the manifest
}

// GapEntry is a declared gap.
type GapEntry struct {
	GapKey
	Object
}

// PinEntry is a pin.
type PinEntry struct {
	PinKey
	Object
}

// IndexEntry is the index of a segment.
type IndexEntry struct {
	IndexKey
	Object
}

// CatalogEntry is a snapshot of a catalog.
type CatalogEntry struct {
	CatalogKey
	Object
}

// BegunEntry is the announcement of a base.
type BegunEntry struct {
	BegunKey
	Object
}

// PruneEntry is a record of the prune log.
type PruneEntry struct {
	PruneKey
	Object
}

// RecipientsEntry is a set of recipients, with its object.
type RecipientsEntry struct {
	RecipientsKey
	Object
	Info RecipientsInfo // zero when the object cannot be used: see Problems
}

// ObjEntry is content of bases.
type ObjEntry struct {
	ObjKey
	Object
}

// Both the key and the object of an entry know its name; the object's is the
// full one.
func (e SegmentEntry) String() string    { return e.SegmentKey.String() }
func (e BaseEntry) String() string       { return e.BaseKey.String() }
func (e GapEntry) String() string        { return e.GapKey.String() }
func (e EpochEntry) String() string      { return e.EpochKey.String() }
func (e PinEntry) String() string        { return e.PinKey.String() }
func (e IndexEntry) String() string      { return e.IndexKey.String() }
func (e CatalogEntry) String() string    { return e.CatalogKey.String() }
func (e ObjEntry) String() string        { return e.ObjKey.String() }
func (e RecipientsEntry) String() string { return e.RecipientsKey.String() }
func (e BegunEntry) String() string      { return e.BegunKey.String() }
func (e PruneEntry) String() string      { return e.PruneKey.String() }

// objPrefix holds most objects and tells a catalog nothing.
const objPrefix = "obj/"

// Catalog lists the archive, without obj/, and reads the epoch objects. An
// archive that does not exist gives an empty catalog. Errors are the store's:
// what cannot be read because of damage is in Problems.
func (a *Archive) Catalog(ctx context.Context) (*Catalog, error) {
	return a.CatalogWith(ctx, SnapshotIgnored)
}

// CatalogWith is Catalog with the help of the newest snapshot, as far as use
// allows it. A snapshot that is not there or cannot be used costs time only.
func (a *Archive) CatalogWith(ctx context.Context, use SnapshotUse) (*Catalog, error) {
	return a.catalog(ctx, use, false)
}

func (a *Archive) catalog(ctx context.Context, use SnapshotUse, record bool) (*Catalog, error) {
	c := &Catalog{NodeID: a.nodeID, Store: a.store.URL(), record: record}
	again, err := a.listInto(ctx, c, "", use)
	if err != nil {
		return nil, err
	}
	if again {
		after := objEnd
		if use != SnapshotIgnored {
			if err := a.loadSnapshot(ctx, c); err != nil {
				return nil, err
			}
			if use == SnapshotNames {
				after = c.takeNames()
			}
		}
		if _, err := a.listInto(ctx, c, after, use); err != nil {
			return nil, err
		}
	}
	if err := a.readEpochs(ctx, c); err != nil {
		return nil, err
	}
	if err := a.readPacks(ctx, c); err != nil {
		return nil, err
	}
	if err := a.readRecipients(ctx, c); err != nil {
		return nil, err
	}
	c.finish(a.ids)
	return c, nil
}

// objEnd sorts behind all contents of bases, and before what follows them.
const objEnd = "obj0"

// listInto adds the names behind after, and tells whether it stopped before
// obj/ so that more are to be listed: one more request spares the pages of all
// contents, and a snapshot those of most segments.
func (a *Archive) listInto(ctx context.Context, c *Catalog, after string, use SnapshotUse) (more bool, err error) {
	prefix := NodePrefix(a.nodeID)
	from := ""
	if after != "" {
		from = prefix + after
	}
	for o, err := range a.store.List(ctx, prefix, from) {
		if err != nil {
			return false, fmt.Errorf("list archive of node %s: %w", a.nodeID, err)
		}
		path := strings.TrimPrefix(o.Key, prefix)
		if after == "" && path >= objPrefix {
			if strings.HasPrefix(path, objPrefix) || use != SnapshotIgnored && len(c.Catalogs) > 0 {
				return true, nil
			}
		}
		k, err := ParseKey(path)
		if err != nil {
			if len(c.Foreign) >= foreignMax {
				c.ForeignMore++
				continue
			}
			c.Foreign = append(c.Foreign, o)
			continue
		}
		if c.names++; c.names > catalogNamesMax {
			return false, &ObjectError{Store: c.Store, Key: o.Key, Offset: -1,
				Reason: fmt.Sprintf("it is one of more than %d names of one node, which no archive of this program has", catalogNamesMax)}
		}
		if path >= objEnd {
			c.behind++
			if c.record {
				c.tail = append(c.tail, o)
			}
		}
		c.add(k, o)
	}
	return false, nil
}

// What a listing may make a reader remember.
var (
	catalogNamesMax = 16 << 20
	foreignMax      = 1000
)

// SnapshotNames is how many names a snapshot of c would hold.
func (c *Catalog) SnapshotNames() int { return c.behind }

func (c *Catalog) add(k Key, o Object) {
	switch k := k.(type) {
	case SegmentKey:
		c.Segments = append(c.Segments, SegmentEntry{SegmentKey: k, Object: o})
	case PackKey:
		c.Packs = append(c.Packs, PackEntry{k, o})
	case BaseKey:
		c.Bases = append(c.Bases, BaseEntry{BaseKey: k, Object: o})
	case GapKey:
		c.Gaps = append(c.Gaps, GapEntry{k, o})
	case PinKey:
		c.Pins = append(c.Pins, PinEntry{k, o})
	case IndexKey:
		c.Indexes = append(c.Indexes, IndexEntry{k, o})
	case MergedKey:
		c.Merged = append(c.Merged, MergedEntry{k, o})
	case CatalogKey:
		c.Catalogs = append(c.Catalogs, CatalogEntry{k, o})
	case LedgerKey:
		c.Ledgers = append(c.Ledgers, LedgerEntry{k, o})
	case ProofKey:
		c.Proofs = append(c.Proofs, ProofEntry{k, o})
	case BegunKey:
		c.Begun = append(c.Begun, BegunEntry{k, o})
	case PruneKey:
		c.Prunes = append(c.Prunes, PruneEntry{k, o})
	case EpochKey:
		c.Claims = append(c.Claims, EpochEntry{k, o})
	case RecipientsKey:
		c.Recipients = append(c.Recipients, RecipientsEntry{RecipientsKey: k, Object: o})
	case ObjKey, FormatKey:
	}
}

// readEpochs reads the bodies of the epoch objects, a few at a time.
func (a *Archive) readEpochs(ctx context.Context, c *Catalog) error {
	infos := make([]EpochInfo, len(c.Claims))
	problems := make([]error, len(c.Claims))
	known := c.knownEpochs()
	err := forEach(ctx, len(c.Claims), func(ctx context.Context, i int) error {
		if e, ok := known[c.Claims[i].Epoch]; ok {
			infos[i] = e
			return nil
		}
		e, err := ReadEpoch(ctx, a.store, a.nodeID, c.Claims[i].Epoch)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) {
			problems[i] = err
			return nil
		}
		infos[i] = e
		return err
	})
	if err != nil {
		return err
	}
	for i := range c.Claims {
		if problems[i] != nil {
			c.Problems = append(c.Problems, problems[i])
			continue
		}
		c.Epochs = append(c.Epochs, infos[i])
	}
	return nil
}

// readRecipients reads the sets of recipients, a few at a time.
func (a *Archive) readRecipients(ctx context.Context, c *Catalog) error {
	problems := make([]error, len(c.Recipients))
	err := forEach(ctx, len(c.Recipients), func(ctx context.Context, i int) (err error) {
		c.Recipients[i].Info, err = ReadRecipients(ctx, a.store, a.nodeID, c.Recipients[i].ID)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) {
			problems[i] = err
			return nil
		}
		return err
	})
	for _, p := range problems {
		if p != nil {
			c.Problems = append(c.Problems, p)
		}
	}
	return err
}

// MayOpen tells whether the identities belong to the recipients of an object,
// as far as that can be told without trying. What is not encrypted, everybody
// opens.
func (c *Catalog) MayOpen(ids *Identities, enc Age) bool {
	if !enc.Encrypted() {
		return true
	}
	for _, r := range c.Recipients {
		if r.ID == enc.Recipients && r.Info.Version != 0 {
			return ids.MayOpen(r.Info.Recipients)
		}
	}
	return ids != nil // nobody says who they are
}

// finish cuts what fenced epochs wrote and puts everything in order. Of
// segments with one content, those that ids may open come first.
func (c *Catalog) finish(ids *Identities) {
	c.useKnown()
	slices.SortFunc(c.Epochs, func(x, y EpochInfo) int { return cmp.Compare(x.Epoch, y.Epoch) })
	for i := range c.Segments {
		s := &c.Segments[i]
		s.From, s.To = s.First, min(s.Last, DeadFrom(c.Epochs, s.Timeline, s.Epoch)-1)
	}
	// Listings are ordered by name, and names by these fields; not so for what
	// a slow store lists late.
	known := make(map[RecipientsID]int)
	closed := func(s SegmentEntry) int { // 0 for who may open it, else 1
		v, ok := known[s.Age.Recipients]
		if !ok {
			if !c.MayOpen(ids, s.Age) {
				v = 1
			}
			known[s.Age.Recipients] = v
		}
		return v
	}
	slices.SortFunc(c.Segments, func(x, y SegmentEntry) int {
		return cmp.Or(cmp.Compare(x.Timeline, y.Timeline), cmp.Compare(x.First, y.First),
			cmp.Compare(x.Last, y.Last), cmp.Compare(x.Epoch, y.Epoch), bytes.Compare(x.SHA16[:], y.SHA16[:]),
			closed(x)-closed(y), cmp.Compare(x.Object.Key, y.Object.Key))
	})
}

// Objects lists the contents of bases, which Catalog leaves out.
func (a *Archive) Objects(ctx context.Context, yield func(ObjEntry) error) error {
	for o, err := range listKeys[ObjKey](ctx, a.store, a.nodeID, objPrefix, "") {
		if err != nil {
			return err
		}
		if err := yield(ObjEntry{o.Key, o.Object}); err != nil {
			return err
		}
	}
	return nil
}

// Copies lists the objects that hold the content of k, whoever they are
// encrypted for.
func (a *Archive) Copies(ctx context.Context, k ObjKey) ([]ObjEntry, error) {
	var out []ObjEntry
	for o, err := range listKeys[ObjKey](ctx, a.store, a.nodeID, ObjKey{SHA256: k.SHA256}.String(), "") {
		if err != nil {
			return nil, err
		}
		out = append(out, ObjEntry{o.Key, o.Object})
	}
	return out, nil
}
