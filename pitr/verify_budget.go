package pitr

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// Ledger remembers between verifications what was checked when. *archive.Archive
// and *archive.LedgerFile are ledgers.
type Ledger interface {
	LoadLedger(ctx context.Context) (*archive.Ledger, error)
	SaveLedger(ctx context.Context, l *archive.Ledger) error
}

const (
	ledgerSaveEvery   = time.Minute
	ledgerSaveTimeout = 30 * time.Second
	rateBurstBytes    = 64 << 10
)

// job is one object that is due.
type job struct {
	obj   archive.Object
	key   string // below the node's prefix
	known archive.LedgerLine
	md5   string // as the upload recorded it, for contents that a manifest names
	read  func(ctx context.Context) error
	plain bool // sealed and not encrypted: damage can be located
	enc   archive.Age
	chain string // key of what is known of the segment; empty for contents
}

// jobs are all objects. Without any identity, what is encrypted is compared with
// the MD5 in its name, which needs no key; an identity that does not open an
// object is a problem of that object.
func (v *verifier) jobs(c *archive.Catalog, contents []content) []job {
	var out []job
	add := func(j job, enc archive.Age) {
		if enc.Encrypted() && v.a.Identities() == nil {
			j.read = func(ctx context.Context) error { return v.unopened(ctx, j.obj, enc) }
		}
		j.plain, j.enc = j.plain && !enc.Encrypted(), enc
		out = append(out, j)
	}
	v.packJobs(c, add)
	for _, s := range c.Segments {
		if s.PackedOnly {
			continue
		}
		add(job{obj: s.Object, key: s.SegmentKey.String(), plain: true, chain: s.Content().String(),
			read: func(ctx context.Context) error { return v.segment(ctx, s) }}, s.Age)
	}
	for _, o := range contents {
		add(job{obj: o.entry.Object, key: o.entry.ObjKey.String(), md5: o.md5, plain: o.entry.Zstd,
			read: func(ctx context.Context) error { return v.content(ctx, o) }}, o.entry.Age)
	}
	return out
}

// unopened reads an encrypted object and holds its bytes against its name.
func (v *verifier) unopened(ctx context.Context, o archive.Object, enc archive.Age) error {
	err := v.readBytes(ctx, o, enc)
	v.done(o.Size)
	if err != nil {
		if !damaged(err) {
			return err
		}
		v.problem(o.Key, err)
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Unopened++
	return nil
}

func (v *verifier) readBytes(ctx context.Context, o archive.Object, enc archive.Age) error {
	body, err := v.a.Store().ReadRange(ctx, o.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	sum := md5.New()
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	if got := archive.ShortSum(sum.Sum(nil)[:8]); got != enc.MD5 {
		return v.src.damage(0, o.Key, fmt.Errorf("%w: the MD5 of its bytes begins with %s, its name says %s", archive.ErrCorrupt, got, enc.MD5))
	}
	return nil
}

// schedule puts the jobs in order: what was never verified first, then the
// oldest. What was verified within OlderThan is left out.
func (v *verifier) schedule(jobs []job) []job {
	age := func(j *job) time.Time {
		if v.opts.Fast {
			return j.known.Last()
		}
		return j.known.Full
	}
	now := v.opts.Clock()
	due := jobs[:0]
	for i := range jobs {
		j := jobs[i]
		if line, ok := v.lines[j.key]; ok {
			j.known = line
		}
		if at := age(&j); v.opts.OlderThan > 0 && !at.IsZero() && now.Sub(at) < v.opts.OlderThan {
			v.report.Recent++
			continue
		}
		due = append(due, j)
	}
	slices.SortStableFunc(due, func(x, y job) int { return cmp.Or(age(&x).Compare(age(&y)), cmp.Compare(x.key, y.key)) })
	return due
}

// admit tells whether the budget allows one more object. The first is always
// taken, else one that is larger than the budget would hold up all others for
// ever; after the first that does not fit none is taken, so the order holds.
func (v *verifier) admit(size int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := &v.budget
	if b.started > 0 && (v.opts.MaxBytes > 0 && b.bytes+size > v.opts.MaxBytes ||
		v.opts.MaxTime > 0 && v.opts.Clock().Sub(b.begun) >= v.opts.MaxTime) {
		b.spent = true
	}
	if b.spent {
		v.report.Left++
		return false
	}
	b.started++
	b.bytes += size
	return true
}

// check does one job and writes it down.
func (v *verifier) check(ctx context.Context, j *job) error {
	cost := j.obj.Size
	if v.opts.Fast {
		cost = 0
	}
	if !v.admit(cost) {
		return nil
	}
	before := v.problems()
	line := archive.LedgerLine{Key: j.key, Size: j.obj.Size, Full: j.known.Full, SHA256: j.known.SHA256, Prev: j.known.Prev}
	if v.opts.Fast {
		if err := v.fast(ctx, j, &line); err != nil {
			return err
		}
		line.Fast = v.opts.Clock().UTC()
	} else {
		if err := j.read(ctx); err != nil {
			return err
		}
		line.Full, line.MD5 = v.opts.Clock().UTC(), v.sums.of(j.obj.Key)
		v.compareSum(j, line.MD5)
	}
	v.note(ctx, j, line, before)
	v.saveIfDue(ctx)
	return nil
}

func (v *verifier) problems() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.report.Problems)
}

// compareSum finds bytes that are others than those which were recorded, though
// all that can be checked in them is right: a flip in a seek table, a rewrite.
func (v *verifier) compareSum(j *job, sum string) {
	v.mu.Lock()
	named := slices.ContainsFunc(v.report.Problems, func(p Problem) bool { return p.Key == j.obj.Key })
	v.mu.Unlock()
	if named {
		return
	}
	for _, want := range []string{j.md5, j.known.MD5} {
		if want != "" && sum != "" && want != sum {
			v.problem(j.obj.Key, fmt.Errorf("%w: its bytes have MD5 %s, recorded was %s", archive.ErrCorrupt, sum, want))
			return
		}
	}
}

// note adds what a check found to the ledger, and a damaged object's position
// to its problem.
func (v *verifier) note(ctx context.Context, j *job, line archive.LedgerLine, before int) {
	where := ""
	if v.problems() > before && j.plain && !v.opts.Fast {
		where, _ = archive.Locate(ctx, v.a.Store(), j.obj.Key, j.obj.Size) // advice; the damage is reported anyway
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.report.Problems {
		p := &v.report.Problems[i]
		if p.Key == j.obj.Key {
			if errors.Is(p.Err, archive.ErrKeyMissing) {
				return // it was not read: it stays due, and is no damage
			}
			line.Problem = p.Reason
			if where != "" && p.Where == "" {
				p.Where = where
			}
		}
	}
	if h, ok := v.heads[j.chain]; ok && j.chain != "" {
		line.SHA256, line.Prev = hex.EncodeToString(h.seg.SHA256[:]), hex.EncodeToString(h.prev[:])
	}
	v.lines[j.key] = line
	v.checked[j.key] = true
}

// fast compares what the store says of an object with what was recorded.
func (v *verifier) fast(ctx context.Context, j *job, line *archive.LedgerLine) error {
	obj := j.obj
	if len(obj.MD5) == 0 {
		var err error
		if obj, err = v.a.Store().Stat(ctx, obj.Key); err != nil {
			if !damaged(err) {
				return err
			}
			v.problem(j.obj.Key, err)
			return nil
		}
	}
	v.done(0)
	sum := hex.EncodeToString(obj.MD5)
	line.MD5 = cmp.Or(j.known.MD5, j.md5, sum)
	want := cmp.Or(j.md5, j.known.MD5)
	if j.enc.Encrypted() && len(obj.MD5) == md5.Size {
		// The name is the record, and nobody can have changed it.
		sum, want = sum[:len(j.enc.MD5.String())], j.enc.MD5.String()
	}
	v.mu.Lock()
	switch {
	case want == "":
		v.report.FirstSeen++
	case sum == "":
		v.report.SizeOnly++
	default:
		v.report.Compared++
	}
	v.mu.Unlock()
	if j.known.Size != 0 && j.known.Size != obj.Size {
		v.problem(obj.Key, fmt.Errorf("%w: the store has %d bytes, recorded were %d", archive.ErrCorrupt, obj.Size, j.known.Size))
	} else if want != "" && sum != "" && want != sum {
		v.problem(obj.Key, fmt.Errorf("%w: the store says MD5 %s, recorded was %s", archive.ErrCorrupt, sum, want))
	}
	return nil
}

// loadLedger reads what earlier runs found.
func (v *verifier) loadLedger(ctx context.Context) error {
	v.lines, v.checked = make(map[string]archive.LedgerLine), make(map[string]bool)
	v.budget.begun = v.opts.Clock()
	v.saved = v.budget.begun
	if v.opts.Ledger == nil {
		return nil
	}
	l, err := v.opts.Ledger.LoadLedger(ctx)
	if err != nil {
		return err
	}
	for _, line := range l.Lines {
		v.lines[line.Key] = line
	}
	return nil
}

// saveIfDue keeps what a kill would cost small. Whether it can be written at all
// is told at the end.
func (v *verifier) saveIfDue(ctx context.Context) {
	v.mu.Lock()
	due := v.opts.Clock().Sub(v.saved) >= v.opts.SaveEvery
	if due {
		v.saved = v.opts.Clock()
	}
	v.mu.Unlock()
	if due {
		_ = v.saveLedger(ctx)
	}
}

func (v *verifier) saveLedger(ctx context.Context) error {
	if v.opts.Ledger == nil {
		return nil
	}
	v.saving.Lock()
	defer v.saving.Unlock()
	l := &archive.Ledger{NodeID: v.a.NodeID(), WrittenAt: v.opts.Clock().UTC(), Tool: v.opts.Tool}
	v.mu.Lock()
	for key := range v.checked {
		l.Lines = append(l.Lines, v.lines[key])
	}
	for key, line := range v.lines {
		if !v.checked[key] && v.listed[key] {
			l.Lines = append(l.Lines, line)
		}
	}
	checked := len(v.checked)
	v.mu.Unlock()
	if checked == 0 {
		return nil // whoever looks often, and finds nothing due, leaves no object each time
	}
	if err := v.opts.Ledger.SaveLedger(ctx, l); err != nil {
		return &LedgerError{Err: err}
	}
	return nil
}

// LedgerError: what was verified could not be written down.
type LedgerError struct{ Err error }

func (e *LedgerError) Error() string { return "write the ledger: " + e.Err.Error() }

// Unwrap gives the store's error.
func (e *LedgerError) Unwrap() error { return e.Err }

// finishLedger reports damage that an earlier run found and this one did not
// look at again, takes heads of segments from there, and saves.
func (v *verifier) finishLedger(ctx context.Context, err error) error {
	for key, line := range v.lines {
		switch {
		case !v.listed[key] && v.pruned[key]:
			v.report.Pruned++
		case !v.listed[key]:
			v.report.Gone++
		case !v.checked[key] && line.Problem != "":
			v.problem(archive.NodePrefix(v.a.NodeID())+key, fmt.Errorf("found on %s and not read again: %s", line.Last().Format(time.RFC3339), line.Problem))
		}
		v.takeHead(key, line)
	}
	// A run that is stopped keeps what it did.
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerSaveTimeout)
	defer cancel()
	return errors.Join(err, v.saveLedger(sctx))
}

// takeHead lets the chain be checked between segments of several runs.
func (v *verifier) takeHead(key string, line archive.LedgerLine) {
	k, err := segmentKey(key)
	if err != nil || !v.listed[key] || line.SHA256 == "" {
		return
	}
	at := k.Content().String()
	if _, ok := v.heads[at]; ok {
		return
	}
	if h, ok := headOf(k, line); ok {
		v.heads[at] = h
	}
}

func headOf(k archive.SegmentKey, line archive.LedgerLine) (head, bool) {
	sum, err1 := hex.DecodeString(line.SHA256)
	prev, err2 := hex.DecodeString(line.Prev)
	if errors.Join(err1, err2) != nil || len(sum) != 32 || len(prev) != 32 {
		return head{}, false
	}
	return head{seg: wal.Segment{Timeline: k.Timeline, Epoch: k.Epoch, First: k.First, Last: k.Last, SHA256: [32]byte(sum)}, prev: [32]byte(prev)}, true
}

// sumStore adds up the MD5 of what is read whole, no faster than the limit.
type sumStore struct {
	archive.Store
	limit *rate.Limiter

	mu   sync.Mutex
	sums map[string]string
}

func newSumStore(s archive.Store, bytesPerSecond int64) *sumStore {
	limit := rate.NewLimiter(rate.Inf, rateBurstBytes)
	if bytesPerSecond > 0 {
		limit.SetLimit(rate.Limit(bytesPerSecond))
	}
	return &sumStore{Store: s, limit: limit, sums: make(map[string]string)}
}

// of is the sum of an object that was read to its end, else empty.
func (s *sumStore) of(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.sums[key]
	delete(s.sums, key)
	return sum
}

// ReadRange is archive.Store's.
func (s *sumStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	body := &sumBody{ReadCloser: r, ctx: ctx, store: s}
	if off == 0 && n < 0 {
		body.key, body.sum = key, md5.New()
	}
	return body, nil
}

type sumBody struct {
	io.ReadCloser
	ctx   context.Context
	store *sumStore
	key   string
	sum   hash.Hash // nil: a part of an object
}

func (b *sumBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), rateBurstBytes)])
	if b.sum != nil {
		b.sum.Write(p[:n])
		if errors.Is(err, io.EOF) {
			b.store.mu.Lock()
			b.store.sums[b.key] = hex.EncodeToString(b.sum.Sum(nil))
			b.store.mu.Unlock()
		}
	}
	if werr := b.store.limit.WaitN(b.ctx, n); werr != nil && err == nil {
		err = werr
	}
	return n, err
}
