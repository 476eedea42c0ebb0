package pitr

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// VerifyOptions of an archive's verification. Nil and the zero value work.
type VerifyOptions struct {
	Parallel int // objects at a time; default 4

	// Fast trusts the store: sizes and sums that it reports are compared with
	// what was recorded, and nothing is read. That does not prove that the bytes
	// can be read, nor that they hold what their name says.
	Fast bool

	// Ledger remembers what was checked; nil: nothing is remembered. What was
	// never checked comes first, then what was checked longest ago.
	Ledger    Ledger
	MaxBytes  int64         // stop before more than that is read, though never before the first object; 0: no limit
	MaxTime   time.Duration // start no object later than that; 0: no limit
	OlderThan time.Duration // leave out what was verified within that time; 0: nothing
	RateBytes int64         // read no more in a second; 0: no limit
	SaveEvery time.Duration // between two writes of the ledger; default a minute
	Tool      string        // program and version, for the ledger
	Clock     func() time.Time

	// Progress is called after each object, by one goroutine at a time.
	Progress func(VerifyProgress)
}

// VerifyProgress is how far a verification is.
type VerifyProgress struct {
	Objects      int   `json:"objects"`
	ObjectsTotal int   `json:"objects_total"`
	Bytes        int64 `json:"bytes"`
	BytesTotal   int64 `json:"bytes_total"`
}

// Problem is one thing that is wrong with an archive.
type Problem struct {
	Key    string `json:"key,omitempty"` // full key of the object; empty when it is about none
	Reason string `json:"reason"`
	Where  string `json:"where,omitempty"` // position of the damage in the object
	Err    error  `json:"-"`
	// Listed tells that it is about what the archive holds, not about what was
	// read of an object: Inspect finds the same.
	Listed bool `json:"-"`
}

// VerifyReport is what a verification found.
type VerifyReport struct {
	NodeID   string    `json:"node_id"`
	Store    string    `json:"store"`
	Segments int       `json:"segments"` // of their own and in packs
	Packs    int       `json:"packs"`
	Bases    int       `json:"bases"`
	Objects  int       `json:"objects"` // contents of bases
	Bytes    int64     `json:"bytes"`   // read
	Records  uint64    `json:"records"`
	Problems []Problem `json:"problems"`
	// Unused are contents that no manifest names: left by bases that were not
	// finished, or by pruning that was not. They do no harm.
	Unused int `json:"unused_objects"`

	Fast      bool `json:"fast"`                   // nothing was read
	Compared  int  `json:"compared"`               // fast: the store's sum is the recorded one
	SizeOnly  int  `json:"compared_size_only"`     // fast: the store reports no sum
	FirstSeen int  `json:"first_seen"`             // fast: nothing was recorded to compare with
	Unopened  int  `json:"encrypted_unopened"`     // no identity opens them: their bytes are those of the name, what is in them is not known
	Recent    int  `json:"verified_recently"`      // left out by OlderThan
	Left      int  `json:"left_for_later"`         // the budget was spent
	Gone      int  `json:"gone_since_last_time"`   // in the ledger, no longer listed, and not pruned
	Pruned    int  `json:"pruned_since_last_time"` // in the ledger, no longer listed, and in the prune log

	Duration time.Duration `json:"duration_ns"`
}

// OK tells that nothing is wrong.
func (r *VerifyReport) OK() bool { return len(r.Problems) == 0 }

// verifier reads every object of one archive.
type verifier struct {
	a    *archive.Archive
	src  *sources
	opts VerifyOptions

	mu       sync.Mutex
	report   *VerifyReport
	progress VerifyProgress
	heads    map[string]head // by segment key

	lines   map[string]archive.LedgerLine // by key below the node's prefix
	checked map[string]bool               // in this run
	listed  map[string]bool               // set before any object is read
	pruned  map[string]bool               // the same; by the prune log

	prunedLSNs prunedLSNs
	saved      time.Time
	saving     sync.Mutex
	sums       *sumStore
	budget     struct {
		begun   time.Time
		started int
		bytes   int64
		spent   bool
	}
}

// Verify reads every object of an archive again: each segment against its name
// and its checksums, the hash chain and the LSNs between segments, each manifest,
// and each content against its hash. Damage is in the report; errors are only
// those of the store, and *LedgerError with the report when only the ledger could
// not be written.
func Verify(ctx context.Context, a *archive.Archive, opts *VerifyOptions) (*VerifyReport, error) {
	begun := time.Now()
	src, h, err := survey(ctx, []*archive.Archive{a}, archive.SnapshotIgnored)
	if err != nil {
		return nil, err
	}
	v := &verifier{src: src, heads: make(map[string]head), pruned: make(map[string]bool), prunedLSNs: make(prunedLSNs),
		report: &VerifyReport{NodeID: a.NodeID(), Store: a.Store().URL(), Problems: []Problem{}}}
	if opts != nil {
		v.opts = *opts
	}
	setDefault(&v.opts.Parallel, 4)
	setDefault(&v.opts.SaveEvery, ledgerSaveEvery)
	if v.opts.Clock == nil {
		v.opts.Clock = time.Now
	}
	v.report.Fast = v.opts.Fast
	v.sums = newSumStore(a.Store(), v.opts.RateBytes)
	v.a = a.Over(v.sums)
	if v.opts.Progress == nil {
		v.opts.Progress = func(VerifyProgress) {}
	}
	err = v.run(ctx, h)
	if err != nil && (!is[*LedgerError](err) || ctx.Err() != nil) {
		return nil, err
	}
	slices.SortFunc(v.report.Problems, func(x, y Problem) int {
		return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Reason, y.Reason))
	})
	v.report.Duration = time.Since(begun)
	return v.report, err
}

func (v *verifier) run(ctx context.Context, h *history) error {
	c := v.src.catalogs[0]
	for _, err := range c.Problems {
		v.listing("", err)
	}
	if err := v.retention(ctx, c); err != nil {
		return err
	}
	if err := v.loadLedger(ctx); err != nil {
		return err
	}
	contents, err := v.contents(ctx, c)
	if err != nil {
		return err
	}
	jobs := v.jobs(c, contents)
	v.listed = make(map[string]bool, len(jobs))
	for i := range jobs {
		v.listed[jobs[i].key] = true
	}
	jobs = v.schedule(jobs)
	for i := range jobs {
		if !v.opts.Fast {
			v.progress.BytesTotal += jobs[i].obj.Size
		}
	}
	v.progress.ObjectsTotal = len(jobs)
	err = parallel(ctx, v.opts.Parallel, len(jobs), func(ctx context.Context, i int) error { return v.check(ctx, &jobs[i]) })
	err = v.finishLedger(ctx, err)
	v.chains(h)
	return err
}

// content is an object under obj/ and what manifests say of it.
type content struct {
	entry archive.ObjEntry
	bytes int64  // by the manifests; -1: none names it
	md5   string // of the sealed bytes, by the manifests
}

// contents reads all manifests and lists obj/.
func (v *verifier) contents(ctx context.Context, c *archive.Catalog) ([]content, error) {
	named := make(map[archive.ObjKey]archive.ManifestFile) // by content: it may be encrypted again under another name
	for _, b := range c.Bases {
		v.report.Bases++
		m, err := archive.ReadBase(ctx, v.a.Store(), v.a.NodeID(), b.BaseKey)
		if err != nil {
			if !damaged(err) {
				return nil, err
			}
			v.problem(b.Object.Key, err)
			continue
		}
		if err := usableManifest(m); err != nil {
			v.problem(b.Object.Key, err)
		}
		for _, vs := range m.VShards {
			for i := range vs.Files {
				k, _ := vs.Files[i].Object() // valid: ReadBase checked it
				named[k.Content()] = vs.Files[i]
			}
		}
	}
	var out []content
	there := make(map[archive.ObjKey]bool)
	err := v.a.Objects(ctx, func(o archive.ObjEntry) error {
		f, ok := named[o.Content()]
		if !ok {
			f.Bytes = -1
			v.report.Unused++
		}
		if k, _ := f.Object(); k != o.ObjKey || f.SealedBytes != o.Size {
			f.SealedMD5 = "" // sealed, or encrypted, another time, with the same content
		}
		there[o.Content()] = true
		out = append(out, content{entry: o, bytes: f.Bytes, md5: f.SealedMD5})
		return nil
	})
	for k := range maps.Keys(named) {
		if !there[k] {
			v.problem(v.a.Key(k), errors.New("a manifest names it and it is not there"))
		}
	}
	return out, err
}

// damaged tells what is the object's fault and not the store's.
func damaged(err error) bool {
	return errors.Is(err, archive.ErrCorrupt) || errors.Is(err, archive.ErrVersion) || errors.Is(err, archive.ErrNotFound) ||
		errors.Is(err, wal.ErrCorrupt) || errors.Is(err, wal.ErrVersion) || errors.Is(err, archive.ErrRefused) || errors.Is(err, archive.ErrKeyMissing)
}

func (v *verifier) problem(key string, err error) { v.add(Problem{Key: key, Err: err}) }

func (v *verifier) listing(key string, err error) { v.add(Problem{Key: key, Err: err, Listed: true}) }

func (v *verifier) add(p Problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if oe := as[*archive.ObjectError](p.Err); oe != nil && p.Key == "" {
		p.Key = oe.Key
	}
	p.Reason = p.Err.Error()
	v.report.Problems = append(v.report.Problems, p)
}

func (v *verifier) done(bytes int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Bytes += bytes
	v.progress.Objects++
	v.progress.Bytes += bytes
	v.opts.Progress(v.progress)
}

func (v *verifier) segment(ctx context.Context, e archive.SegmentEntry) error {
	hd, err := v.readSegment(ctx, e)
	v.done(e.Size)
	if err != nil {
		if !damaged(err) {
			return err
		}
		v.problem(e.Object.Key, err)
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Segments++
	v.report.Records += hd.seg.Records
	v.heads[e.Content().String()] = hd
	return nil
}

func (v *verifier) readSegment(ctx context.Context, e archive.SegmentEntry) (head, error) {
	body, err := v.a.OpenSegment(ctx, e)
	if err != nil {
		return head{}, err
	}
	defer func() { _ = body.Close() }()
	out, err := readWhole(ctx, body, e.Object.Key, func(*wal.Record) error { return nil })
	if err == nil {
		err = e.Check(out.seg, v.a.NodeID())
	}
	if err != nil && ctx.Err() == nil && !archive.Retryable(err) {
		return head{}, v.src.damage(0, e.Object.Key, err)
	}
	return out, err
}

// content reads one object and compares its hash.
func (v *verifier) content(ctx context.Context, c content) error {
	err := v.readContent(ctx, c)
	v.done(c.entry.Size)
	if err == nil || damaged(err) {
		if err != nil {
			v.problem(c.entry.Object.Key, err)
		}
		v.mu.Lock()
		v.report.Objects++
		v.mu.Unlock()
		return nil
	}
	return err
}

func (v *verifier) readContent(ctx context.Context, c content) error {
	plain, err := v.a.OpenContent(ctx, c.entry.ObjKey)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }()
	sum := sha256.New()
	limit := c.bytes
	if limit < 0 {
		limit = 1 << 40 // no manifest bounds it; nothing is kept in memory
	}
	n, err := io.Copy(sum, io.LimitReader(plain, limit+1))
	switch {
	case err != nil && (ctx.Err() != nil || archive.Retryable(err)):
		return err
	case err != nil:
		return v.src.damage(0, c.entry.Object.Key, err)
	case c.bytes >= 0 && n != c.bytes:
		return v.src.damage(0, c.entry.Object.Key, fmt.Errorf("%w: it holds other than the %d bytes that its manifest promises", archive.ErrCorrupt, c.bytes))
	case [32]byte(sum.Sum(nil)) != c.entry.SHA256:
		return v.src.damage(0, c.entry.Object.Key, fmt.Errorf("%w: it has SHA-256 %x", archive.ErrCorrupt, sum.Sum(nil)))
	}
	return nil
}

// chains checks what holds between segments: no undeclared hole, no two
// writers, and each segment names the hash of the one before.
func (v *verifier) chains(h *history) {
	for _, id := range h.timelines() {
		b := h.branches[id]
		for _, c := range b.clashes {
			v.listing(archive.NodePrefix(h.node)+c.b, fmt.Errorf("it holds LSNs %d to %d of the same epoch as %s", uint64(c.from), uint64(c.to), c.a))
		}
		t := describe(b)
		v.prunedLSNs.tell(&t)
		for _, m := range t.Missing {
			v.listing("", fmt.Errorf("LSNs %d to %d of timeline %d are missing: no gap object and no prune record says so", uint64(m.From), uint64(m.To), uint32(id)))
		}
		for _, r := range b.runs {
			for i := 1; i < len(r.segments); i++ {
				prev, next := &r.segments[i-1], &r.segments[i]
				ph, ok1 := v.heads[prev.key]
				nh, ok2 := v.heads[next.key]
				if !ok1 || !ok2 {
					continue // a problem of its own
				}
				if reason := chainBreak(&ph.seg, &nh.seg, nh.prev, prev.hi != prev.last); reason != "" {
					v.problem(archive.NodePrefix(h.node)+next.key, errors.New(reason))
				}
			}
		}
	}
}
