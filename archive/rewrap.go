package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// RewrapOptions configure Rewrap.
type RewrapOptions struct {
	// Retire deletes an object once its content is proven to be there for the
	// new recipients. A store that keeps it (object lock) is no error.
	Retire bool
	// Plain includes what is not encrypted yet.
	Plain          bool
	Parallel       int           // objects at a time; default 2
	MemoryBytes    int64         // held at a time; default 128 MiB
	AttemptTimeout time.Duration // of one object's requests, plus one second per MiB; default 60s
	Logger         *slog.Logger  // default discards
	// Progress is called after each object, from many goroutines. May be nil.
	Progress func(RewrapInfo)
}

// RewrapInfo is what Rewrap did, or has done so far.
type RewrapInfo struct {
	Objects  int64 `json:"objects"`   // looked at: of other recipients
	New      int64 `json:"new"`       // created for the new recipients
	NewBytes int64 `json:"new_bytes"` // of those
	There    int64 `json:"there"`     // were there for them already, and proven
	Retired  int64 `json:"retired"`   // deleted
	Retained int64 `json:"retained"`  // not deleted, by the store's refusal
	Failed   int64 `json:"failed"`    // contents that no object gave: see RewrapError
}

// Rewrap makes all of an archive readable for r: it decrypts each object that
// is encrypted for others, with the archive's identities, proves the content by
// the hash in the name, and creates a new object of the same content. Nothing
// is overwritten, and an object is deleted (Retire) only when the new one is
// proven. It may be stopped and run again anywhere: what is there is found. What
// is damaged, or opens for none of the identities, stays as it is, and is in the
// *RewrapError at the end; trouble of the store ends it at once.
func (a *Archive) Rewrap(ctx context.Context, r *Recipients, opts *RewrapOptions) (RewrapInfo, error) {
	w := &rewrap{a: a, to: r}
	if opts != nil {
		w.RewrapOptions = *opts
	}
	setDefault(&w.Parallel, 2)
	setDefault(&w.MemoryBytes, 128<<20)
	setDefault(&w.AttemptTimeout, time.Minute)
	if w.Logger == nil {
		w.Logger = slog.New(slog.DiscardHandler)
	}
	if w.Parallel < 1 || w.Parallel > parallelMax || w.MemoryBytes < 0 || w.AttemptTimeout < 0 {
		return RewrapInfo{}, fmt.Errorf("archive: rewrap options out of range: parallel %d, memory %d, timeout %v", w.Parallel, w.MemoryBytes, w.AttemptTimeout)
	}
	w.memory = newBudget(w.MemoryBytes)
	if err := w.survey(ctx); err != nil {
		return RewrapInfo{}, err
	}
	// Crash here: recipients that guard nothing yet.
	if err := WriteRecipients(ctx, a.store, a.nodeID, r); err != nil {
		return RewrapInfo{}, err
	}
	err := w.run(ctx)
	if err == nil && w.failed.Load() > 0 {
		err = &RewrapError{Failed: w.failed.Load(), Errs: w.errs}
	}
	return w.info(), err
}

type rewrap struct {
	RewrapOptions
	a      *Archive
	to     *Recipients
	memory *budget

	work []rewrapItem
	have map[Key][]Key // by content: what is there for the new recipients

	mu   sync.Mutex
	errs []error // at most rewrapErrsMax

	objects, created, createdBytes, there, retired, retained, failed atomic.Int64
}

// rewrapItem is one content and its objects for other recipients.
type rewrapItem struct {
	content Key
	old     []Key
	sizes   []int64
	damaged []Key // for the new recipients, of an attempt that a store kept half of
}

func (w *rewrap) info() RewrapInfo {
	return RewrapInfo{w.objects.Load(), w.created.Load(), w.createdBytes.Load(), w.there.Load(), w.retired.Load(), w.retained.Load(), w.failed.Load()}
}

// survey lists what is there.
func (w *rewrap) survey(ctx context.Context) error {
	c, err := w.a.Catalog(ctx)
	if err != nil {
		return err
	}
	w.have = make(map[Key][]Key)
	at := make(map[Key]int)
	add := func(content, k Key, enc Age, size int64) {
		switch {
		case enc.Recipients == w.to.ID():
			w.have[content] = append(w.have[content], k)
			return
		case !enc.Encrypted() && !w.Plain:
			return
		}
		i, ok := at[content]
		if !ok {
			i = len(w.work)
			at[content] = i
			w.work = append(w.work, rewrapItem{content: content})
		}
		w.work[i].old = append(w.work[i].old, k)
		w.work[i].sizes = append(w.work[i].sizes, size)
	}
	for _, s := range c.Segments {
		if !s.PackedOnly {
			add(s.Content(), s.SegmentKey, s.Age, s.Size)
		}
	}
	for _, p := range c.Packs {
		add(p.Content(), p.PackKey, p.Age, p.Size)
	}
	return w.a.Objects(ctx, func(o ObjEntry) error {
		add(o.Content(), o.ObjKey, o.Age, o.Size)
		return nil
	})
}

func (w *rewrap) run(ctx context.Context) error {
	slots := make(chan struct{}, w.Parallel)
	return forEach(ctx, len(w.work), func(ctx context.Context, i int) error {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		defer func() { <-slots }()
		return w.item(ctx, &w.work[i])
	})
}

// item makes sure of one content, then retires its old objects.
func (w *rewrap) item(ctx context.Context, it *rewrapItem) error {
	w.objects.Add(int64(len(it.old)))
	there, err := w.proven(ctx, it)
	if err != nil {
		return err
	}
	if there {
		w.there.Add(1)
	} else if err := w.again(ctx, it); err != nil {
		return w.setAside(ctx, err)
	}
	// Crash here: both are there; the next run proves the new one and goes on.
	if w.Retire {
		if err := w.retire(ctx, it); err != nil {
			return err
		}
	}
	if w.Progress != nil {
		w.Progress(w.info())
	}
	return nil
}

// setAside goes on after trouble of one content, which keeps its old objects.
func (w *rewrap) setAside(ctx context.Context, err error) error {
	if ctx.Err() != nil || !unusable(err) {
		return err
	}
	w.failed.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.errs) < rewrapErrsMax {
		w.errs = append(w.errs, err)
	}
	return nil
}

// unusable tells errors of an object from those of the store.
func unusable(err error) bool {
	return errors.Is(err, ErrKeyMissing) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrVersion)
}

// proven tells whether an earlier run brought the content.
func (w *rewrap) proven(ctx context.Context, it *rewrapItem) (bool, error) {
	for _, k := range w.have[it.content] {
		err := w.provenAs(ctx, k)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound):
			return false, fmt.Errorf("prove %s: %w", k, err)
		}
		it.damaged = append(it.damaged, k)
		w.Logger.Warn("an object for the new recipients is damaged, its content is sent again", "key", k.String(), "err", err)
	}
	return false, nil
}

// provenAs proves an object by its content when the identities open it, else by
// the bytes that its name tells.
func (w *rewrap) provenAs(ctx context.Context, k Key) error {
	if pack, ok := k.(PackKey); ok {
		there, err := w.a.store.Stat(ctx, w.a.Key(k))
		if err != nil {
			return err
		}
		return w.a.VerifyPack(ctx, PackEntry{pack, there})
	}
	_, enc := encoding(k)
	if w.a.ids.MayOpen(w.to.names) {
		body, err := w.a.OpenContent(ctx, k)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		sum := sha256.New()
		if _, err := io.Copy(sum, body); err != nil {
			return err
		}
		if !sumMatches(k, [32]byte(sum.Sum(nil))) {
			return objectErr(w.a.store, w.a.Key(k), fmt.Sprintf("has SHA-256 %x", sum.Sum(nil)), nil)
		}
		return nil
	}
	_, err := matchesName(ctx, w.a.store, w.a.Key(k), enc)
	return err
}

// again reads the first object that opens, and creates the new one.
func (w *rewrap) again(ctx context.Context, it *rewrapItem) error {
	var worst error
	for i, k := range it.old {
		err := w.one(ctx, it.content, k, it.sizes[i])
		if err == nil {
			return nil
		}
		if !unusable(err) {
			return err
		}
		if worst == nil || errors.Is(worst, ErrKeyMissing) {
			worst = err
		}
	}
	return worst
}

func (w *rewrap) one(ctx context.Context, content, old Key, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, w.AttemptTimeout+time.Duration(size>>20)*time.Second)
	defer cancel()
	o, err := w.seal(ctx, old, size)
	if err != nil {
		return fmt.Errorf("encrypt %s again: %w", old, err)
	}
	defer o.free()
	k := withAge(content, o.age)
	full := w.a.Key(k)
	if err := w.a.store.Create(ctx, full, o, o.size); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("create %s: %w", k, err)
	}
	// Crash here: the next run finds the object by listing, and proves it.
	if err := matches(ctx, w.a.store, full, &o.proof); err != nil {
		return fmt.Errorf("prove %s: %w", k, err)
	}
	w.created.Add(1)
	w.createdBytes.Add(o.size)
	return nil
}

// seal decrypts an object and encrypts it for the new recipients, in memory,
// and compares its content with the name.
func (w *rewrap) seal(ctx context.Context, old Key, size int64) (*sealedObject, error) {
	plain, tail, err := w.open(ctx, old, size)
	if err != nil {
		return nil, err
	}
	defer func() { _ = plain.Close() }()
	// What it holds is not known before it is read: its memory grows with it.
	held, err := w.memory.acquire(ctx, size+chunkBytes)
	if err != nil {
		return nil, err
	}
	o := &sealedObject{memory: w.memory, held: held}
	out := newProofWriter(&o.chunks, rewrapGrowth(size))
	o.info, err = sealAge(out, &ctxReader{ctx, plain}, w.to)
	if err == nil && !sumMatches(old, o.info.SHA256) {
		err = objectErr(w.a.store, w.a.Key(old), fmt.Sprintf("has SHA-256 %x", o.info.SHA256), nil)
	}
	if err == nil {
		_, err = out.Write(tail)
	}
	if err != nil {
		o.free()
		return nil, err
	}
	o.finish(out, w.to)
	return o, nil
}

// open streams the content of an object, and gives what follows it when it is
// encrypted: the index of a pack.
func (w *rewrap) open(ctx context.Context, old Key, size int64) (io.ReadCloser, []byte, error) {
	k, ok := old.(PackKey)
	if !ok {
		plain, err := w.a.OpenContent(ctx, old)
		return plain, nil, err
	}
	e := PackEntry{k, Object{Key: w.a.Key(k), Size: size}}
	if e.Age.Encrypted() && w.a.ids == nil {
		return nil, nil, w.a.keyMissing(ctx, e.Object.Key, e.Age.Recipients)
	}
	x, err := w.a.openPack(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	body, err := w.a.store.ReadRange(ctx, e.Object.Key, 0, -1)
	if err != nil {
		return nil, nil, err
	}
	plain, err := w.a.unsealPack(ctx, e, x, body)
	if err != nil {
		return nil, nil, errors.Join(err, body.Close())
	}
	return &contentBody{plain, body}, x.encode(), nil
}

// rewrapGrowth bounds how large an object may become: another version's
// compression may have been better, but not by so much.
func rewrapGrowth(size int64) int64 { return 4*size + 16<<20 }

// retire deletes the old objects of a content that is proven to be there, and
// what an earlier attempt left of it.
func (w *rewrap) retire(ctx context.Context, it *rewrapItem) error {
	for _, k := range slices.Concat(it.old, it.damaged) {
		err := w.a.store.Delete(ctx, w.a.Key(k))
		switch {
		case err == nil:
			w.retired.Add(1)
		case errors.Is(err, ErrNotFound):
		case errors.Is(err, ErrDenied), errors.Is(err, ErrRefused):
			w.retained.Add(1)
			w.Logger.Warn("the store keeps an old object", "key", k.String(), "err", err)
		default:
			return fmt.Errorf("retire %s: %w", k, err)
		}
	}
	return nil
}

// withAge is the key of content for the readers of enc.
func withAge(content Key, enc Age) Key {
	switch k := content.(type) {
	case SegmentKey:
		k.Age = enc
		return k
	case PackKey:
		k.Age = enc
		return k
	case ObjKey:
		k.Age = enc
		return k
	}
	return content
}
