package pitr

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
)

// packs are merged segments that a replay reads. A pack of which it wants at
// least half is downloaded once, for all its segments. Segments come in order,
// so the last two packs are enough to keep.
type packs struct {
	mu     sync.Mutex
	wanted map[string]int64 // bytes of content that the replay wants, by store and key
	open   []*openPack
}

const packsKept = 2

// openPack is one download, shared by who needs it. The fields are valid when
// ready is closed.
type openPack struct {
	name  string
	ready chan struct{}
	data  []byte
	err   error
}

func packName(store string, p *archive.Packed) string { return store + " " + p.Pack.Object.Key }

// expect tells which segments will be asked for.
func (s *sources) expect(segments []PlanSegment) {
	s.packs.mu.Lock()
	defer s.packs.mu.Unlock()
	s.packs.wanted = make(map[string]int64)
	for _, ps := range segments {
		for _, store := range ps.Stores {
			for _, e := range s.entriesOf(store, ps.Key) {
				if e.Packed != nil {
					s.packs.wanted[packName(s.archives[store].Store().URL(), e.Packed)] += e.Packed.Bytes
				}
			}
		}
	}
}

// packedRequests is what one segment costs that is read out of a pack by range:
// the table of frames, then its frames.
const packedRequests = 2

// tally counts what the segments of a plan cost: a pack of which at least half is
// wanted is one object and one request, whatever it holds.
func (s *sources) tally(pl *Plan) {
	s.expect(pl.Segments)
	o := (*Options)(nil).withDefaults()
	seen := make(map[string]bool)
	for _, ps := range pl.Segments {
		pl.Bytes += ps.Bytes
		var e archive.SegmentEntry
		if len(ps.Stores) > 0 {
			if entries := s.entriesOf(ps.Stores[0], ps.Key); len(entries) > 0 {
				e = entries[0]
			}
		}
		whole := e.Packed != nil && s.worthIt(o, ps.Stores[0], e.Packed)
		if whole || e.PackedOnly {
			if key := e.Packed.Pack.Object.Key; !seen[key] {
				seen[key] = true
				pl.Objects++
				if whole {
					pl.Requests++
				}
			}
			if !whole {
				pl.Requests += packedRequests
			}
			continue
		}
		pl.Objects++
		pl.Requests++
	}
}

// entriesOf are the objects of one store that hold a segment.
func (s *sources) entriesOf(store int, key string) []archive.SegmentEntry {
	name, err := segmentKey(key)
	if err != nil {
		return nil // a plan of another program; reading it says so
	}
	return s.entries[store][name.Content().String()]
}

// worthIt tells whether a whole pack saves requests and fits.
func (s *sources) worthIt(o *Options, store int, p *archive.Packed) bool {
	s.packs.mu.Lock()
	defer s.packs.mu.Unlock()
	name := packName(s.archives[store].Store().URL(), p)
	return p.Pack.Size <= o.MemoryBytes/packsKept && s.packs.wanted[name] >= 2*p.Bytes && s.packs.wanted[name] >= p.ContentBytes/2
}

// fromPack decodes a segment out of a pack.
func (s *sources) fromPack(ctx context.Context, o *Options, d *decoder, i int, ps PlanSegment, store int, e archive.SegmentEntry) (*decoded, error) {
	plain, err := s.packed(ctx, o, store, e)
	if err != nil {
		return nil, err
	}
	defer func() { _ = plain.Close() }()
	out, err := d.decode(ctx, i, ps, plain, e.Packed.Pack.Object.Key)
	if err != nil && ctx.Err() == nil && !archive.Retryable(err) {
		return nil, s.damage(store, e.Packed.Pack.Object.Key, err)
	}
	return out, err
}

func (s *sources) packed(ctx context.Context, o *Options, store int, e archive.SegmentEntry) (io.ReadCloser, error) {
	if !s.worthIt(o, store, e.Packed) {
		e.PackedOnly = true // its own object is another way, not this one
		return s.archives[store].OpenSegment(ctx, e)
	}
	data, err := s.wholePack(ctx, o, store, e.Packed)
	if err != nil {
		return nil, err
	}
	// Each segment has a reader of its own, since a reader keeps one frame.
	plain, err := s.archives[store].OpenPacked(ctx, e.Packed, data)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(plain), nil
}

// wholePack downloads a pack, or waits for whoever does.
func (s *sources) wholePack(ctx context.Context, o *Options, store int, p *archive.Packed) ([]byte, error) {
	st := s.archives[store].Store()
	name := packName(st.URL(), p)
	s.packs.mu.Lock()
	at := slices.IndexFunc(s.packs.open, func(x *openPack) bool { return x.name == name })
	if at >= 0 {
		x := s.packs.open[at]
		s.packs.mu.Unlock()
		select {
		case <-x.ready:
			return x.data, x.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	x := &openPack{name: name, ready: make(chan struct{})}
	s.packs.open = append(s.packs.open, x)
	if n := len(s.packs.open) - packsKept; n > 0 {
		s.packs.open = slices.Delete(s.packs.open, 0, n)
	}
	s.packs.mu.Unlock()
	x.data, x.err = download(ctx, o, st, p.Pack.Object)
	if x.err != nil { // the next one tries anew
		s.packs.mu.Lock()
		s.packs.open = slices.DeleteFunc(s.packs.open, func(y *openPack) bool { return y == x })
		s.packs.mu.Unlock()
	}
	close(x.ready)
	return x.data, x.err
}
