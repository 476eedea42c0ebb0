package archive

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// errTarget marks trouble of the target, which ends the copy; trouble of a
// source only sends us to the next one.
var errTarget = errors.New("archive: copy's target")

type targetError struct{ err error }

func (e *targetError) Error() string   { return e.err.Error() }
func (e *targetError) Unwrap() []error { return []error{errTarget, e.err} }

// bring makes sure that the target holds the object.
func (r *copyRun) bring(ctx context.Context, it *copyItem) (ok bool, err error) {
	if there, listed := r.there[it.path]; listed {
		err = r.again(ctx, func() error {
			ok, err = r.present(ctx, it, there)
			return err
		})
		return ok, err
	}
	left := it.sources
	err = r.again(ctx, func() error {
		var next []copySource
		var worst error
		for _, src := range left {
			ok, err = r.send(ctx, it, src)
			if err == nil || ctx.Err() != nil || errors.Is(err, errTarget) {
				return err
			}
			r.Logger.Debug("copy failed", "key", it.path, "from", r.from[src.store].store.URL(), "err", err)
			if passing(err) {
				next = append(next, src)
			}
			if worst == nil || passing(err) {
				worst = err // what may work later leaves more hope
			}
		}
		left = next
		return worst
	})
	return ok, err
}

// passing tells whether to ask again. Damage may have come on the way, and is
// asked for once more by again.
func passing(err error) bool {
	return Retryable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrCorrupt)
}

// again repeats what may work later, within Attempts; damage is read twice.
func (r *copyRun) again(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !passing(err) || attempt >= r.Attempts || attempt > 1 && errors.Is(err, ErrCorrupt):
			return err
		}
		if err := r.pause(ctx, attempt+1); err != nil {
			return err
		}
	}
}

// pause waits before another attempt: doubling, with full jitter.
func (r *copyRun) pause(ctx context.Context, attempt int) error {
	most := min(r.BackoffMax, r.BackoffMin<<min(attempt-2, 20))
	if most <= 0 {
		return nil
	}
	t := time.NewTimer(rand.N(most) + 1)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send reads the object from one source, checks it, creates it in the target
// and proves it there.
func (r *copyRun) send(ctx context.Context, it *copyItem, src copySource) (bool, error) {
	within, cancel := r.within(ctx, src.obj.Size)
	defer cancel()
	o, err := r.load(within, r.from[src.store].store, src.obj)
	if err != nil {
		return false, err
	}
	defer o.free()
	if err := checkContent(it.key, r.nodeID, &o.chunks); err != nil {
		return false, placed(r.from[src.store].store, src.obj.Key, err)
	}
	// Reading may have been slow by the rate limit; the target gets its own time.
	within, cancelTarget := r.within(ctx, src.obj.Size)
	defer cancelTarget()
	full := Join(r.nodeID, it.key)
	err = r.to.Create(within, full, o, o.size)
	if errors.Is(err, ErrExists) {
		// A lost answer, or another copy at the same time.
		there, serr := r.to.Stat(within, full)
		if serr != nil {
			return false, &targetError{serr}
		}
		return r.present(ctx, it, there)
	}
	if err == nil {
		// Crash here: the object is there, not proven; create is what counts.
		err = matches(within, r.to, full, &o.proof)
	}
	if err != nil {
		return false, &targetError{err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Copied++
	r.report.CopiedBytes += o.size
	return true, nil
}

// within bounds the requests for one object: a rate limit makes them longer.
func (r *copyRun) within(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	d := r.AttemptTimeout + time.Duration(size>>20)*time.Second
	if r.RateBytes > 0 {
		d += time.Duration(float64(size*int64(r.Parallel)) / float64(r.RateBytes) * float64(time.Second))
	}
	return context.WithTimeout(ctx, d)
}

// load reads a whole object into memory that the budget allows.
func (r *copyRun) load(ctx context.Context, st Store, obj Object) (*sealedObject, error) {
	key := obj.Key
	held, err := r.memory.acquire(ctx, obj.Size+chunkBytes)
	if err != nil {
		return nil, err
	}
	o := &sealedObject{memory: r.memory, held: held}
	body, err := st.ReadRange(ctx, key, 0, -1)
	if err == nil {
		sum, md := sha256.New(), md5.New()
		_, err = io.Copy(io.MultiWriter(sum, md, &o.chunks), io.LimitReader(&ratedReader{ctx, body, r.rate}, obj.Size+1))
		o.proof = proof{Size: o.size, MD5: md.Sum(nil), SHA256: sum.Sum(nil)}
		if cerr := body.Close(); err == nil {
			err = cerr
		}
	}
	switch {
	case err != nil && ctx.Err() == nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		err = &StoreError{Op: "read", Store: st.URL(), Key: key, Class: ErrUnreachable, Err: err}
	case err == nil && o.size < obj.Size:
		err = &StoreError{Op: "read", Store: st.URL(), Key: key, Class: ErrUnreachable, Err: io.ErrUnexpectedEOF}
	case err == nil && o.size > obj.Size:
		err = objectErr(st, key, "it is longer than the listing said", nil)
	}
	if err != nil {
		o.free()
		return nil, err
	}
	return o, nil
}

// ratedReader reads no faster than the limit that all readers of a copy share.
type ratedReader struct {
	ctx  context.Context
	r    io.Reader
	rate *rate.Limiter
}

func (r *ratedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p[:min(len(p), copyBurstBytes)])
	if werr := r.rate.WaitN(r.ctx, n); werr != nil && err == nil {
		err = werr
	}
	return n, err
}

// placed gives damage that was found in memory its place.
func placed(s Store, key string, err error) error {
	var oe *ObjectError
	if !errors.As(err, &oe) {
		return objectErr(s, key, "it is not what its name says", err)
	}
	damaged := *oe
	damaged.Store, damaged.Key = s.URL(), key
	return &damaged
}

// checkContent compares an object's bytes with its name. Those of an encrypted
// object are in the name themselves, so that takes no key.
func checkContent(k Key, nodeID string, c *chunks) error {
	switch k.(type) {
	case SegmentKey, PackKey, ObjKey:
		return checkSum(k, c, c.size)
	case IndexKey, MergedKey:
		return nil
	}
	data, err := io.ReadAll(io.NewSectionReader(c, 0, c.size))
	if err != nil {
		return err
	}
	return checkDocument(k, nodeID, data)
}

// checkDocument proves a small document by its own checksum and, where its
// name is in it, by its name.
func checkDocument(k Key, nodeID string, data []byte) error {
	var err error
	switch k := k.(type) {
	case EpochKey:
		_, err = decodeEpoch(data, nodeID, k.Epoch)
	case GapKey:
		_, err = decodeGap(data, nodeID, k)
	case RecipientsKey:
		_, err = decodeRecipients(data, nodeID, k.ID)
	case PinKey:
		_, err = decodePin(data, nodeID, k.Name)
	case BaseKey:
		_, err = decodeManifest(data, nodeID, k)
	case FormatKey:
		var f FormatInfo
		err = decodeJSON(data, formatVersion, &f)
	}
	return err
}

// contentHash is the SHA-256 of what c holds. A sealed object is read by its
// table, so that damage of the table is found too.
func contentHash(c io.ReaderAt, size int64, zst bool) (sum [32]byte, err error) {
	content := io.NewSectionReader(c, 0, size)
	if zst {
		sealed, err := OpenSealed(c, size, "")
		if err != nil {
			return sum, err
		}
		content = io.NewSectionReader(sealed, 0, sealed.Size())
	}
	h := sha256.New()
	_, err = io.Copy(h, content)
	return [32]byte(h.Sum(nil)), err
}

// checkSum compares an object's content with the hash that its name holds.
func checkSum(k Key, c io.ReaderAt, size int64) error {
	zst, enc := encoding(k)
	if enc.Encrypted() {
		h := md5.New()
		if _, err := io.Copy(h, io.NewSectionReader(c, 0, size)); err != nil {
			return err
		}
		if sum := h.Sum(nil); !bytes.Equal(sum[:len(enc.MD5)], enc.MD5[:]) {
			return &ObjectError{Offset: -1, Reason: fmt.Sprintf("its bytes have MD5 %x", sum)}
		}
		return nil
	}
	sum, err := contentHash(c, size, zst)
	if err != nil || sumMatches(k, sum) {
		return err
	}
	return &ObjectError{Offset: -1, Reason: fmt.Sprintf("its content has SHA-256 %x", sum)}
}

// present tells whether what the target has under the name is the object.
// It is never changed: what is different stays, and is reported.
func (r *copyRun) present(ctx context.Context, it *copyItem, there Object) (bool, error) {
	within, cancel := r.within(ctx, max(there.Size, it.size))
	defer cancel()
	if it.phase != phaseWAL && it.phase != phaseContent && it.phase != phaseIndex {
		if err := r.sameDocument(within, it); err != nil {
			return false, err
		}
		r.count(it, false)
		return true, nil
	}
	src := it.sources[0].obj
	same := there.Size == src.Size && (len(there.MD5) == 0 || len(src.MD5) == 0 || bytes.Equal(there.MD5, src.MD5))
	if same && !r.Recheck {
		r.count(it, false)
		return true, nil
	}
	if it.phase == phaseIndex {
		r.count(it, !same)
		return true, nil
	}
	o, err := r.load(within, r.to, there)
	if err == nil {
		err = checkSum(it.key, o, o.size)
		o.free()
		if err != nil {
			return false, placed(r.to, there.Key, err)
		}
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return false, &targetError{err}
	}
	if err == nil {
		r.count(it, false)
	}
	return err == nil, err
}

func sumMatches(k Key, sum [32]byte) bool {
	switch k := k.(type) {
	case SegmentKey:
		return Short(sum) == k.SHA16
	case PackKey:
		return Short(sum) == k.SHA16
	case ObjKey:
		return sum == k.SHA256
	}
	return false
}

func (r *copyRun) count(it *copyItem, unproven bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Present++
	r.report.PresentBytes += it.size
	if unproven {
		r.report.Unproven++
	}
}
