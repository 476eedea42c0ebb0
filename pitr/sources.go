package pitr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// sources are the archives of one node and what their listings said. What one
// cannot give, another may.
type sources struct {
	node     string
	archives []*archive.Archive
	catalogs []*archive.Catalog // nil where the store did not answer
	down     []error            // why not
	// entries are the objects of each content, those first that can be opened.
	entries []map[string][]archive.SegmentEntry

	packs packs

	mu struct {
		sync.Mutex
		manifests map[string]manifestRead
	}
}

type manifestRead struct {
	m   *archive.Manifest
	err error
}

// survey lists all archives, with as much help of snapshots as use allows. It
// fails only when none answers.
func survey(ctx context.Context, archives []*archive.Archive, use archive.SnapshotUse) (*sources, *history, error) {
	s, err := listAll(ctx, archives, use)
	if err != nil {
		return nil, nil, err
	}
	h := s.merge()
	h.finish()
	return s, h, nil
}

func listAll(ctx context.Context, archives []*archive.Archive, use archive.SnapshotUse) (*sources, error) {
	return askAll(ctx, archives, func(ctx context.Context, i int) (*archive.Catalog, error) {
		return archives[i].CatalogWith(ctx, use)
	})
}

// askAll asks all archives side by side for a catalog, or for a part of one.
func askAll(ctx context.Context, archives []*archive.Archive, list func(ctx context.Context, i int) (*archive.Catalog, error)) (*sources, error) {
	if len(archives) == 0 {
		return nil, ErrNoStores
	}
	n := len(archives)
	s := &sources{node: archives[0].NodeID(), archives: archives, catalogs: make([]*archive.Catalog, n),
		down: make([]error, n), entries: make([]map[string][]archive.SegmentEntry, n)}
	s.mu.manifests = make(map[string]manifestRead)
	for _, a := range archives {
		if a.NodeID() != s.node {
			return nil, fmt.Errorf("pitr: archives of two nodes, %q and %q", s.node, a.NodeID())
		}
	}
	err := parallel(ctx, n, n, func(ctx context.Context, i int) error {
		s.catalogs[i], s.down[i] = list(ctx, i)
		if s.down[i] != nil && ctx.Err() != nil {
			return s.down[i]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(s.down, nil) {
		return nil, s.unreachable()
	}
	return s, nil
}

// merge makes one history of all catalogs.
func (s *sources) merge() *history {
	h := &history{node: s.node, branches: make(map[wal.Timeline]*branch)}
	seen := make(map[string]*segment)
	gaps, bases, epochs := make(map[string]bool), make(map[string]*base), make(map[wal.Epoch]bool)
	for i, c := range s.catalogs {
		if c == nil {
			continue
		}
		h.lsnMax = max(h.lsnMax, c.LSNMax())
		s.entries[i] = make(map[string][]archive.SegmentEntry, len(c.Segments))
		for _, e := range c.Epochs {
			if !epochs[e.Epoch] {
				epochs[e.Epoch] = true
				h.branch(e.Timeline).addEpoch(e)
			}
		}
		for j := range c.Segments {
			e := &c.Segments[j]
			name := strings.TrimPrefix(e.Object.Key, archive.NodePrefix(s.node))
			key := contentOf(e, name)
			if seen[key] == nil {
				seen[key] = &segment{key: key, name: name, timeline: e.Timeline, epoch: e.Epoch, first: e.First, last: e.Last, bytes: e.Size}
			}
			if sg := seen[key]; len(s.entries[i][key]) == 0 {
				sg.stores, sg.class = addHolder(sg.stores, sg.class, i, carrier(*e).Class)
			}
			if held := s.entries[i][key]; held != nil {
				s.entries[i][key] = append(held, *e)
			} else {
				s.entries[i][key] = c.Segments[j : j+1 : j+1] // shared: there are very many
			}
		}
		for _, b := range c.Bases {
			key := b.BaseKey.String()
			if bases[key] == nil {
				bases[key] = &base{key: key, id: b.ID, timeline: b.Timeline, lsn: b.LSN, low: b.LSN}
			}
			at := bases[key]
			at.summary = cmp.Or(at.summary, b.Summary)
			at.stores, at.class = addHolder(at.stores, at.class, i, b.Class)
		}
		for _, g := range c.Gaps {
			if key := g.GapKey.String(); !gaps[key] {
				gaps[key] = true
				b := h.branch(g.Timeline)
				b.gaps = append(b.gaps, gap{key: key, from: g.First, to: g.Last})
			}
		}
	}
	inferred := make(map[wal.Epoch]archive.EpochInfo)
	for _, sg := range seen {
		b := h.branch(sg.timeline)
		b.segments = append(b.segments, *sg)
		if e, ok := inferred[sg.epoch]; !epochs[sg.epoch] && (!ok || sg.first < e.FirstLSN) {
			inferred[sg.epoch] = archive.EpochInfo{Timeline: sg.timeline, Epoch: sg.epoch, FirstLSN: sg.first}
		}
	}
	// An epoch whose object is damaged, or listed late, still fences: it began
	// where its first segment does.
	for _, e := range inferred {
		b := h.branch(e.Timeline)
		b.epochs = append(b.epochs, epochStart{epoch: e.Epoch, first: e.FirstLSN})
	}
	for _, bs := range bases {
		b := h.branch(bs.timeline)
		b.bases = append(b.bases, *bs)
	}
	return h
}

// contentOf is the key of what an object holds: its own name unless it is encrypted.
func contentOf(e *archive.SegmentEntry, name string) string {
	if e.Age.Encrypted() {
		return e.Content().String()
	}
	return name
}

func (h *history) branch(id wal.Timeline) *branch {
	b := h.branches[id]
	if b == nil {
		b = &branch{id: id}
		h.branches[id] = b
	}
	return b
}

func (b *branch) addEpoch(e archive.EpochInfo) {
	b.epochs = append(b.epochs, epochStart{epoch: e.Epoch, first: e.FirstLSN})
	b.parent, b.fork = e.ParentTimeline, e.ForkLSN
	if b.first == 0 || e.FirstLSN < b.first {
		b.first = e.FirstLSN
	}
}

// unreachable describes the first store that did not answer, nil if all did.
func (s *sources) unreachable() *UnreachableError {
	for i, err := range s.down {
		if err != nil {
			return &UnreachableError{Store: s.archives[i].Store().URL(), Op: "list the archive", Err: err}
		}
	}
	return nil
}

// nowhere is the error for an object that no reachable store lists.
func (s *sources) nowhere() error {
	if down := s.unreachable(); down != nil {
		return down
	}
	return archive.ErrNotFound
}

func (s *sources) urls() []string {
	var out []string
	for _, a := range s.archives {
		out = append(out, a.Store().URL())
	}
	return out
}

// warnings are what a person should know before trusting the plan.
func (s *sources) warnings() []string {
	out := []string{}
	for i, c := range s.catalogs {
		url := s.archives[i].Store().URL()
		if c == nil {
			out = append(out, fmt.Sprintf("store %s does not answer; what only it holds is not in this plan: %v", url, s.down[i]))
			continue
		}
		for _, p := range c.Problems {
			out = append(out, p.Error())
		}
		if n := len(c.Foreign); n > 0 {
			out = append(out, fmt.Sprintf("%d objects in %s have names that are not nodedb's and are passed over, such as %s", n, url, c.Foreign[0].Key))
		}
	}
	return out
}

// passOver tells whether another store, or another base, may be tried: the
// object itself is the problem, or its store.
func passOver(err error) bool {
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// anyOf asks the stores in turn until one answers. Of several errors the one
// that leaves most hope counts: a store that is down may hold a good copy.
func anyOf[T any](s *sources, stores []int, ask func(i int) (T, error)) (T, error) {
	var zero T
	var worst error
	for _, i := range stores {
		v, err := ask(i)
		if err == nil {
			return v, nil
		}
		if !passOver(err) {
			return zero, err
		}
		if worst == nil || archive.Retryable(err) {
			worst = err
		}
	}
	if worst == nil {
		worst = s.nowhere()
	}
	return zero, worst
}

// firstOf asks the objects of one content until one can be read. Of several
// errors the one counts that does not only want for a key.
func firstOf[T any](entries []archive.SegmentEntry, ask func(archive.SegmentEntry) (T, error)) (T, error) {
	var zero T
	worst := archive.ErrNotFound
	for i, e := range entries {
		v, err := ask(e)
		if err == nil {
			return v, nil
		}
		if !passOver(err) {
			return zero, err
		}
		if i == 0 || errors.Is(worst, archive.ErrKeyMissing) {
			worst = err
		}
	}
	return zero, worst
}

// knownBounds are what a snapshot says of a segment's footer.
func (s *sources) knownBounds(sg *segment) (bounds, bool) {
	for _, i := range sg.stores {
		for _, e := range s.entries[i][sg.key] {
			if b := e.Bounds; b != nil {
				return bounds{first: b.FirstTime, last: b.LastTime, points: b.Points}, true
			}
		}
	}
	return bounds{}, false
}

// segmentBounds reads the footer of a segment.
func (s *sources) segmentBounds(ctx context.Context, sg *segment) (bounds, error) {
	if b, ok := s.knownBounds(sg); ok {
		return b, nil
	}
	info, err := anyOf(s, sg.stores, func(i int) (archive.SegmentInfo, error) {
		return firstOf(s.entries[i][sg.key], func(e archive.SegmentEntry) (archive.SegmentInfo, error) {
			return s.archives[i].SegmentInfo(ctx, e)
		})
	})
	if err != nil {
		return bounds{}, fmt.Errorf("read footer: %w", err)
	}
	return bounds{first: info.Footer.FirstTime, last: info.Footer.LastTime, points: info.Footer.Points}, nil
}

// scan streams the records of a segment until yield returns false. It starts
// again from the first record when a store fails half-way.
func (s *sources) scan(ctx context.Context, sg *segment, yield func(*wal.Record) bool) error {
	_, err := anyOf(s, sg.stores, func(i int) (struct{}, error) {
		body, err := firstOf(s.entries[i][sg.key], func(e archive.SegmentEntry) (io.ReadCloser, error) {
			return s.archives[i].OpenSegment(ctx, e)
		})
		if err != nil {
			return struct{}{}, err
		}
		defer func() { _ = body.Close() }()
		r := wal.NewSegmentReader(body, s.archives[i].Store().URL()+" "+sg.key)
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				return struct{}{}, nil
			}
			if err != nil || !yield(&rec) {
				return struct{}{}, err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	return nil
}

// manifest reads the manifest of a base, once.
func (s *sources) manifest(ctx context.Context, b *base) (*archive.Manifest, error) {
	s.mu.Lock()
	got, ok := s.mu.manifests[b.key]
	s.mu.Unlock()
	if ok {
		return got.m, got.err
	}
	k, err := archive.ParseKey(b.key)
	if err != nil {
		return nil, err
	}
	got.m, got.err = anyOf(s, b.stores, func(i int) (*archive.Manifest, error) {
		return archive.ReadBase(ctx, s.archives[i].Store(), s.node, k.(archive.BaseKey))
	})
	if got.err == nil {
		got.err = usableManifest(got.m)
	}
	if ctx.Err() == nil {
		s.mu.Lock()
		s.mu.manifests[b.key] = got
		s.mu.Unlock()
	}
	return got.m, got.err
}

// summary is what a plan needs of a manifest, from a snapshot if one knows it.
func (s *sources) summary(ctx context.Context, b *base) (*archive.SnapshotBase, error) {
	if b.summary != nil {
		return b.summary, nil
	}
	m, err := s.manifest(ctx, b)
	if err != nil {
		return nil, err
	}
	return new(m.Summary()), nil
}

// usableManifest: a node's vshards are 0 to n-1.
func usableManifest(m *archive.Manifest) error {
	for i, v := range m.VShards {
		if int(v.ID) != i {
			return &archive.ObjectError{Key: m.Key().String(), Offset: -1, Reason: fmt.Sprintf("vshard %d is missing", i)}
		}
	}
	return nil
}

// baseTime is the time of the record at the base's LSN in µs, 0 when unknown.
func (s *sources) baseTime(ctx context.Context, b *base) (int64, error) {
	m, err := s.summary(ctx, b)
	if err != nil {
		if passOver(err) {
			return 0, nil // a base that cannot be read tells no time
		}
		return 0, err
	}
	if m.Time.IsZero() {
		return 0, nil
	}
	return m.Time.UnixMicro(), nil
}

// ErrVShardsUnknown: without a base, nothing in the archive says it.
var ErrVShardsUnknown = errors.New("pitr: the archive does not say how many vshards the node has")

// vshards finds the number of vshards of a node, which never changes: from an
// epoch object, else from any base.
func (s *sources) vshards(ctx context.Context, h *history) (int, error) {
	n := 0
	for _, c := range s.catalogs {
		if c == nil {
			continue
		}
		for _, e := range c.Epochs {
			n = cmp.Or(n, e.VShards)
		}
	}
	if n > 0 {
		return n, nil
	}
	for _, id := range h.timelines() {
		for i := range h.branches[id].bases {
			m, err := s.summary(ctx, &h.branches[id].bases[i])
			if err == nil {
				return m.VShards, nil
			}
			if !passOver(err) {
				return 0, err
			}
		}
	}
	return 0, fmt.Errorf("%w: no epoch object tells it and there is no base", ErrVShardsUnknown)
}

// otherNodes names the nodes that these stores do know, for a mistyped id.
func (s *sources) otherNodes(ctx context.Context) string {
	var all []string
	for i, a := range s.archives {
		if s.catalogs[i] == nil {
			continue
		}
		ids, err := archive.Nodes(ctx, a.Store())
		if err != nil {
			continue // only advice
		}
		all = append(all, ids...)
	}
	return strings.TrimSpace(closestNames(s.node, all))
}

// attach gives a stored plan the archives of a new one; stores are matched by
// URL, since their order may have changed.
func (p *Plan) attach(src *sources) error {
	urls := src.urls()
	remap := func(stores []int) []int {
		var out []int
		for _, old := range stores {
			if old < 0 || old >= len(p.Stores) {
				continue
			}
			if i := slices.Index(urls, p.Stores[old]); i >= 0 {
				out = append(out, i)
			}
		}
		return out
	}
	for i := range p.Segments {
		p.Segments[i].Stores = remap(p.Segments[i].Stores)
	}
	if p.Proof != nil {
		p.Proof.Stores = remap(p.Proof.Stores)
	}
	if p.Base != nil {
		p.Base.Stores = remap(p.Base.Stores)
	}
	missing := slices.ContainsFunc(p.Segments, func(s PlanSegment) bool { return len(s.Stores) == 0 })
	if missing || p.Base != nil && len(p.Base.Stores) == 0 {
		return fmt.Errorf("pitr: the restore that is to be resumed used other stores: %s", strings.Join(p.Stores, ", "))
	}
	p.Stores, p.src, p.refused = urls, src, make(map[string]bool)
	return nil
}
