package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// CopyOptions configure Copy. Nil and the zero value work.
type CopyOptions struct {
	Parallel    int   // objects at a time; default 4, at most 64
	MemoryBytes int64 // objects held at a time; a larger one goes alone; default 128 MiB
	RateBytes   int64 // read from the sources in a second; 0: no limit

	// Recheck reads again what the target has already. Without it an object of
	// the same name and size is taken as what an earlier run proved, unless the
	// stores report different MD5s.
	Recheck bool

	// Attempts bounds how often one object is asked for; default 5. The pause
	// doubles from BackoffMin to BackoffMax.
	Attempts               int
	BackoffMin, BackoffMax time.Duration // default 200ms, 10s
	AttemptTimeout         time.Duration // of one object, plus one second per MiB; default 60s

	Logger *slog.Logger // default discards
	// Progress is called after each object, by one goroutine at a time. It must
	// not block.
	Progress func(CopyProgress)

	only   func(Key) bool // nil: everything
	memory *budget        // shared with others; nil: one of MemoryBytes
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Objects      int   `json:"objects"`
	ObjectsTotal int   `json:"objects_total"`
	Bytes        int64 `json:"bytes"`
	BytesTotal   int64 `json:"bytes_total"`
}

// CopyProblem is one object that could not be copied, and why. The rest was.
type CopyProblem struct {
	Key    string `json:"key,omitempty"` // full key; empty when it is about a whole store
	Reason string `json:"reason"`
	Err    error  `json:"-"`
}

// CopyReport is what a copy did.
type CopyReport struct {
	NodeID       string        `json:"node_id"`
	From         []string      `json:"from"`
	To           string        `json:"to"`
	Copied       int           `json:"copied_objects"`
	CopiedBytes  int64         `json:"copied_bytes"`
	Present      int           `json:"present_objects"` // were there already
	PresentBytes int64         `json:"present_bytes"`
	Unproven     int           `json:"unproven_objects"` // there already, encrypted otherwise: nobody can compare them without an identity
	Foreign      int           `json:"foreign_objects"`  // names that are not ours, not copied
	Problems     []CopyProblem `json:"problems"`
	Duration     time.Duration `json:"duration_ns"`
}

// OK tells that the target holds everything that the sources hold.
func (r *CopyReport) OK() bool { return len(r.Problems) == 0 }

func (o *CopyOptions) withDefaults() CopyOptions {
	var d CopyOptions
	if o != nil {
		d = *o
	}
	setDefault(&d.Parallel, 4)
	setDefault(&d.MemoryBytes, 128<<20)
	setDefault(&d.Attempts, 5)
	setDefault(&d.BackoffMin, 200*time.Millisecond)
	setDefault(&d.BackoffMax, 10*time.Second)
	setDefault(&d.AttemptTimeout, time.Minute)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Progress == nil {
		d.Progress = func(CopyProgress) {}
	}
	return d
}

func (o *CopyOptions) validate() error {
	if o.Parallel < 1 || o.Parallel > parallelMax || o.MemoryBytes < 0 || o.RateBytes < 0 || o.Attempts < 1 ||
		o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin || o.AttemptTimeout < 0 {
		return fmt.Errorf("archive: copy options out of range: parallel %d (1 to %d), memory %d, rate %d, attempts %d, backoff %v to %v, timeout %v",
			o.Parallel, parallelMax, o.MemoryBytes, o.RateBytes, o.Attempts, o.BackoffMin, o.BackoffMax, o.AttemptTimeout)
	}
	return nil
}

// Copy brings the whole history of a node into another store: timelines,
// epochs, gaps, pins, segments, packs and bases. Objects travel as they are,
// encrypted ones too; each is checked against its name where that is possible,
// created once, and proven in the target. What one source has lost another one
// may give.
//
// A copy that was cut off is no lie, only less: who fences whom comes before
// the segments, contents before the manifests that name them. Run it again to
// go on; what is there is not sent again. Several copies may run at once.
//
// An error stopped the copy: a store did not answer, or the target holds
// another history (*FencedError). Objects that no source can give are in the
// report's problems.
func Copy(ctx context.Context, from []*Archive, to Store, opts *CopyOptions) (*CopyReport, error) {
	began := time.Now()
	o := opts.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if len(from) == 0 {
		return nil, errors.New("archive: copy from no store")
	}
	r := &copyRun{CopyOptions: o, from: from, to: to, nodeID: from[0].nodeID, memory: o.memory}
	if r.memory == nil {
		r.memory = newBudget(o.MemoryBytes)
	}
	r.report = &CopyReport{NodeID: r.nodeID, To: to.URL(), From: []string{}, Problems: []CopyProblem{}}
	for _, a := range from {
		r.report.From = append(r.report.From, a.store.URL())
		if a.nodeID != r.nodeID {
			return nil, fmt.Errorf("archive: copy of two nodes, %q and %q", r.nodeID, a.nodeID)
		}
	}
	r.rate = rate.NewLimiter(rate.Inf, copyBurstBytes)
	if o.RateBytes > 0 {
		r.rate.SetLimit(rate.Limit(o.RateBytes))
	}
	if err := r.run(ctx); err != nil {
		return r.report, err
	}
	r.report.Duration = time.Since(began)
	return r.report, nil
}

// copyBurstBytes is what may be read at once under a rate limit.
const copyBurstBytes = 16 << 10

// copyRun is one copy under way.
type copyRun struct {
	CopyOptions
	from   []*Archive
	to     Store
	nodeID string
	memory *budget
	rate   *rate.Limiter

	// Set by list, then read only.
	items []*copyItem
	there map[string]Object // of the target, by path below the node's prefix
	guard *BaseGuard        // nil: no base is copied

	mu       sync.Mutex // guards what is below
	report   *CopyReport
	progress CopyProgress
	ok       map[string]bool // paths that the target holds for sure
}

func (r *copyRun) run(ctx context.Context) error {
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.announce(ctx); err != nil {
		return err
	}
	r.ok = make(map[string]bool, len(r.items))
	for first := 0; first < len(r.items); {
		end := first
		for end < len(r.items) && r.items[end].phase == r.items[first].phase {
			end++
		}
		// Crash here: everything of the phases before is there, nothing after.
		phase := r.items[first:end]
		err := forEachOf(ctx, r.Parallel, len(phase), func(ctx context.Context, i int) error { return r.item(ctx, phase[i]) })
		if err != nil {
			return err
		}
		first = end
	}
	return nil
}

// item copies one object, or finds out that it cannot be copied.
func (r *copyRun) item(ctx context.Context, it *copyItem) error {
	var done bool
	err := r.again(ctx, func() error { return r.complete(ctx, it) })
	if err == nil {
		err = r.guarded(it.key)
	}
	if err == nil {
		done, err = r.bring(ctx, it)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case it.phase <= phaseEpoch || Retryable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrFenced) || errors.Is(err, ErrPruning) || errors.Is(err, errTarget):
		// Without all epochs what a fenced writer sent would pass for history.
		return fmt.Errorf("copy %s: %w", it.path, err)
	default:
		r.problem(Join(r.nodeID, it.key), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ok[it.path] = done && err == nil
	if o, is := it.key.(ObjKey); is && r.ok[it.path] {
		r.ok[o.Content().String()] = true // whoever it is encrypted for
	}
	r.progress.Objects++
	r.progress.Bytes += it.size
	r.Progress(r.progress)
	return nil
}

func (r *copyRun) problem(key string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Logger.Warn("object is not copied", "key", key, "err", err)
	r.report.Problems = append(r.report.Problems, CopyProblem{Key: key, Reason: err.Error(), Err: err})
}
