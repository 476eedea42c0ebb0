package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// CompactOptions configure Compact. Nil and the zero value work.
type CompactOptions struct {
	TargetBytes int64 // of the segments' objects in one pack; default 64 MiB
	MaxBytes    int64 // a larger segment stays by itself; default an eighth of TargetBytes
	MinObjects  int   // fewer segments are not worth a pack; default 8
	MemoryBytes int64 // default 128 MiB; a pack is held in memory while it is made

	// DeleteSmall deletes the objects of segments that a pack holds too, once
	// the pack was read again and every hash in it was right, and is older than
	// Grace: a restore that was planned before may still ask for them.
	DeleteSmall bool
	Grace       time.Duration // default 24h; negative: none

	// Recipients are those whose encrypted segments are merged, into packs for
	// the same: the archive needs an identity of theirs. Other encrypted
	// segments are left as they are.
	Recipients *Recipients

	DryRun         bool          // say what would be done
	AttemptTimeout time.Duration // of the requests of one pack, plus one second per MiB and segment; default 60s
	Logger         *slog.Logger  // default discards
	Clock          func() time.Time
	Progress       func(CompactProgress) // after each segment; must not block
}

// CompactProgress is how far a compaction is.
type CompactProgress struct {
	Segments      int   `json:"segments"`
	SegmentsTotal int   `json:"segments_total"`
	Bytes         int64 `json:"bytes"`
	BytesTotal    int64 `json:"bytes_total"`
}

// CompactReport is what a compaction did, or would do.
type CompactReport struct {
	NodeID   string        `json:"node_id"`
	Store    string        `json:"store"`
	DryRun   bool          `json:"dry_run"`
	Segments int           `json:"merged_segments"`
	Bytes    int64         `json:"merged_bytes"` // of their objects
	Packs    []string      `json:"packs"`        // keys of new packs; empty in a dry run
	PackN    int           `json:"new_packs"`
	PackSize int64         `json:"pack_bytes"`
	Left     int           `json:"left_encrypted"` // small segments for other recipients
	Deleted  int           `json:"deleted_objects"`
	Retained int           `json:"retained_objects"` // the store does not let go of them
	Problems []CopyProblem `json:"problems"`
	Duration time.Duration `json:"duration_ns"`
}

func (o *CompactOptions) withDefaults() CompactOptions {
	var d CompactOptions
	if o != nil {
		d = *o
	}
	setDefault(&d.TargetBytes, 64<<20)
	setDefault(&d.MaxBytes, d.TargetBytes/8)
	setDefault(&d.MinObjects, 8)
	setDefault(&d.MemoryBytes, 128<<20)
	setDefault(&d.Grace, 24*time.Hour)
	setDefault(&d.AttemptTimeout, time.Minute)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Progress == nil {
		d.Progress = func(CompactProgress) {}
	}
	return d
}

func (o *CompactOptions) validate() error {
	const targetMax = 1 << 30
	if o.TargetBytes < 1 || o.TargetBytes > targetMax || o.MaxBytes < 1 || o.MinObjects < 2 || o.MinObjects > packSegmentsMax || o.MemoryBytes < 0 || o.AttemptTimeout < 0 {
		return fmt.Errorf("archive: compact options out of range: target %d (1 to %d), max %d, objects %d (2 to %d), memory %d, timeout %v",
			o.TargetBytes, targetMax, o.MaxBytes, o.MinObjects, packSegmentsMax, o.MemoryBytes, o.AttemptTimeout)
	}
	return nil
}

// Compact merges small segments of one archive into packs. Each pack is
// created once, read again, and every segment in it compared, before anything
// may rely on it. Nothing is deleted without DeleteSmall. What is encrypted is
// never merged with what is not, nor for other readers.
//
// A compaction that was cut off leaves packs that are whole, or none; run it
// again. Two at once make the same packs, or packs that overlap, which is
// harmless. What is damaged is in the report's problems, the rest is done.
func Compact(ctx context.Context, a *Archive, opts *CompactOptions) (*CompactReport, error) {
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	began := o.Clock()
	c := &compactRun{CompactOptions: o, a: a, memory: newBudget(o.MemoryBytes),
		report: &CompactReport{NodeID: a.nodeID, Store: a.store.URL(), DryRun: o.DryRun, Packs: []string{}, Problems: []CopyProblem{}}}
	catalog, err := a.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	plans, left := planPacks(catalog.Segments, &o)
	c.report.Left = left
	for _, p := range plans {
		c.progress.SegmentsTotal += len(p.segments)
		c.progress.BytesTotal += p.sealed
	}
	for _, p := range plans {
		if err := c.pack(ctx, p); err != nil {
			return c.report, err
		}
	}
	if o.DeleteSmall && !o.DryRun {
		if err := c.deleteSmall(ctx, catalog); err != nil {
			return c.report, err
		}
	}
	c.report.Duration = o.Clock().Sub(began)
	return c.report, nil
}

type compactRun struct {
	CompactOptions
	a        *Archive
	memory   *budget
	report   *CompactReport
	progress CompactProgress
}

// pack makes one pack and proves it. Damage of a segment is a problem of this
// pack only: it is left unmade.
func (c *compactRun) pack(ctx context.Context, p packPlan) error {
	if c.DryRun {
		c.made(p, 0)
		return nil
	}
	wait := c.AttemptTimeout + time.Duration(p.sealed>>20+int64(len(p.segments)))*time.Second
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	src := &packSource{ctx: within, a: c.a, plan: p, index: packIndex{Timeline: p.timeline}, step: c.step}
	defer src.close()
	o, err := sealWith(within, c.memory, p.recipients, src, p.sealed, src.index.encode)
	if err != nil {
		return c.setAside(ctx, p, err)
	}
	defer o.free()
	k := PackKey{Timeline: p.timeline, First: p.segments[0].First, Last: p.segments[len(p.segments)-1].Last, SHA16: Short(o.info.SHA256), Age: o.age}
	full := c.a.Key(k)
	err = c.a.store.Create(within, full, o, o.size)
	// Crash here: a pack that nobody has proven, beside all its segments. Its
	// readers compare every hash, and prune proves it before it relies on it.
	if err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("create pack: %w", err)
	}
	there, err := c.a.store.Stat(within, full)
	if err == nil {
		err = c.a.VerifyPack(within, PackEntry{k, there})
	}
	if err != nil {
		return c.setAside(ctx, p, err)
	}
	c.report.Packs = append(c.report.Packs, full)
	c.made(p, there.Size)
	return nil
}

func (c *compactRun) made(p packPlan, size int64) {
	c.report.PackN++
	c.report.Segments += len(p.segments)
	c.report.Bytes += p.sealed
	c.report.PackSize += size
}

func (c *compactRun) step(s SegmentEntry) {
	c.progress.Segments++
	c.progress.Bytes += s.Size
	c.Progress(c.progress)
}

// setAside goes on after damage, and stops after trouble of the store.
func (c *compactRun) setAside(ctx context.Context, p packPlan, err error) error {
	if ctx.Err() != nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrVersion) {
		return fmt.Errorf("pack LSNs %d to %d: %w", p.segments[0].First, p.segments[len(p.segments)-1].Last, err)
	}
	c.Logger.Warn("segments are not merged", "first", p.segments[0].First, "err", err)
	c.report.Problems = append(c.report.Problems, CopyProblem{Key: c.a.Key(p.segments[0].SegmentKey), Reason: err.Error(), Err: err})
	return nil
}

// packSource is the content of a pack: its segments, one open at a time, each
// compared with its name, then the index.
type packSource struct {
	ctx   context.Context
	a     *Archive
	plan  packPlan
	index packIndex
	step  func(SegmentEntry)

	body io.ReadCloser // of segment len(index.Entries); nil: not open
	sum  hashCounter
	tail []byte // rest of the index; nil: not there yet
}

func (p *packSource) Read(buf []byte) (int, error) {
	for {
		if p.tail != nil {
			n := copy(buf, p.tail)
			p.tail = p.tail[n:]
			if n == 0 && len(buf) > 0 {
				return 0, io.EOF
			}
			return n, nil
		}
		at := len(p.index.Entries)
		if at == len(p.plan.segments) {
			p.tail = p.index.encode()
			continue
		}
		if p.body == nil {
			body, err := p.a.OpenSegment(p.ctx, p.plan.segments[at])
			if err != nil {
				return 0, err
			}
			p.body, p.sum = body, hashCounter{Hash: sha256.New()}
		}
		n, err := p.body.Read(buf)
		p.sum.add(buf[:n])
		if errors.Is(err, io.EOF) {
			err = p.finish(p.plan.segments[at])
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// finish ends one segment.
func (p *packSource) finish(s SegmentEntry) error {
	err := p.body.Close()
	p.body = nil
	sum := [32]byte(p.sum.Sum(nil))
	if err == nil && Short(sum) != s.SHA16 {
		err = objectErr(p.a.store, s.Object.Key, fmt.Sprintf("its content has SHA-256 %x", sum), nil)
	}
	if err != nil {
		return err
	}
	p.index.Entries = append(p.index.Entries, packEntry{Bytes: p.sum.n, First: s.First, Last: s.Last, Epoch: s.Epoch, SHA256: sum})
	p.step(s)
	return nil
}

func (p *packSource) close() {
	if p.body != nil {
		_ = p.body.Close() // reading ended with an error that is told already
	}
}
