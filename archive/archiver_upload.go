package archive

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// localError is a failure to read what should be archived; no store's fault.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// ctxReader ends a long compression when ctx does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// sealSegment reads the segment file once, proves that it is the segment that
// was sealed, and compresses it.
func (s *storeRun) sealSegment(ctx context.Context, seg *wal.Segment) (*sealedObject, error) {
	f, err := s.a.opts.FS.Open(seg.Path)
	if err != nil {
		return nil, &localError{fmt.Errorf("open segment: %w", err)}
	}
	defer func() { _ = f.Close() }()
	// The file may be longer than the segment.
	o, err := sealBytes(ctx, s.memory, s.a.opts.Recipients, io.LimitReader(f, seg.Bytes), seg.Bytes)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &localError{fmt.Errorf("compress segment %s: %w", seg.Path, err)}
	}
	if o.info.Bytes != seg.Bytes || o.info.SHA256 != seg.SHA256 {
		o.free()
		return nil, &localError{fmt.Errorf("segment %s (LSN %d to %d) is not what was sealed: read %d of %d bytes with SHA-256 %x, want %x",
			seg.Path, seg.First, seg.Last, o.info.Bytes, seg.Bytes, o.info.SHA256, seg.SHA256)}
	}
	return o, nil
}

// attempt bounds the requests for an object of so many bytes.
func (s *storeRun) attempt(bytes int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.a.ctx, s.a.opts.AttemptTimeout+time.Duration(bytes>>20)*time.Second)
}

// lookFirst asks what of the segment, or against it, is in the store already.
func (s *storeRun) lookFirst(it *item) (found bool, err error) {
	ctx, cancel := s.attempt(it.seg.Bytes)
	defer cancel()
	if err := s.judgeAhead(ctx, it); err != nil {
		return false, err
	}
	return s.findEncrypted(ctx, it)
}

// uploadItem takes a segment from sealed to verified.
func (s *storeRun) uploadItem(it *item) error {
	if found, err := s.lookFirst(it); found || err != nil {
		return err
	}
	o, err := s.sealSegment(s.a.ctx, &it.seg)
	if err != nil {
		return err
	}
	defer o.free()
	key := it.key
	key.Age = o.age
	full := Join(s.a.opts.Epoch.NodeID, key)
	ctx, cancel := s.attempt(o.size)
	defer cancel()
	sent := &upload{key, o.proof}
	_ = s.a.journal.add(s.line(lineUploading, it, sent), false) // a cache
	// Crash here: the object may get there without our knowing. The next
	// start meets ErrExists and compares, or finds the encrypted object.
	s.a.mu.Lock()
	there := slices.Contains(s.present[it.key], key)
	s.Attempts++
	if key.Age.Encrypted() {
		it.at[s.index].sent = sent
	}
	s.a.mu.Unlock()
	err = ErrExists
	if !there {
		err = s.Store.Create(ctx, full, o, o.size)
	}
	if errors.Is(err, ErrExists) {
		s.a.count(func() { s.Collisions++ })
		if err := s.compare(ctx, it, key, o.proof); err != nil {
			return err
		}
		return s.confirm(ctx, it, sent)
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", key, err)
	}
	s.a.count(func() {
		p := &it.at[s.index]
		p.state, p.sent = uploaded, sent
		s.Uploads++
		s.UploadedBytes += o.size
	})
	// Crash here: the next start finds the object in the journal or in the
	// store, and verifies it.
	_ = s.a.journal.add(s.line(lineUploaded, it, sent), false) // a cache
	return s.verify(ctx, it, sent)
}

// verifyItem proves an upload whose proof is still to come.
func (s *storeRun) verifyItem(it *item, sent *upload) error {
	ctx, cancel := s.attempt(sent.proof.Size)
	defer cancel()
	return s.verify(ctx, it, sent)
}

// verify asks the store what it has, and believes nothing else. An
// acknowledged object that is absent or different is uploaded again: absent,
// that works; different, the create collides and compare decides, or the next
// encryption has another name.
func (s *storeRun) verify(ctx context.Context, it *item, sent *upload) error {
	err := matches(ctx, s.Store, Join(s.a.opts.Epoch.NodeID, sent.key), &sent.proof)
	switch {
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt):
		s.a.count(func() {
			it.at[s.index].state, it.at[s.index].sent = sealed, nil
			delete(s.present, it.key)
			s.FalseAcks++
		})
		return fmt.Errorf("verify upload: %w", err)
	case err != nil:
		return fmt.Errorf("verify upload: %w", err)
	}
	return s.confirm(ctx, it, sent)
}

// matches tells whether the object is the sealed bytes that proof describes:
// size and MD5 when the store reports one, every byte otherwise. *ObjectError
// when it is not.
func matches(ctx context.Context, s Store, full string, want *proof) error {
	obj, err := s.Stat(ctx, full)
	if err != nil {
		return err
	}
	if obj.Size != want.Size {
		return objectErr(s, full, fmt.Sprintf("has %d bytes, sent were %d", obj.Size, want.Size), nil)
	}
	if len(obj.MD5) == md5.Size {
		if !bytes.Equal(obj.MD5, want.MD5) {
			return objectErr(s, full, fmt.Sprintf("has MD5 %x, sent was %x", obj.MD5, want.MD5), nil)
		}
		return nil
	}
	r, err := s.ReadRange(ctx, full, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(r, want.Size+1))
	if err != nil {
		return err
	}
	if n != want.Size || !bytes.Equal(sum.Sum(nil), want.SHA256) {
		return objectErr(s, full, fmt.Sprintf("reads back as %d bytes with SHA-256 %x, sent were %d with %x", n, sum.Sum(nil), want.Size, want.SHA256), nil)
	}
	return nil
}

// compare looks at the object that is there under our segment's name. Equal
// is success: an earlier answer was lost. The same content compressed
// differently (by another version) is equal too. Anything else is not ours,
// or damaged: under the name of an encrypted object only its bytes can be.
func (s *storeRun) compare(ctx context.Context, it *item, key SegmentKey, own proof) error {
	full := Join(s.a.opts.Epoch.NodeID, key)
	err := matches(ctx, s.Store, full, &own)
	if err == nil || !errors.Is(err, ErrCorrupt) || key.Age.Encrypted() {
		return err
	}
	reason := err.Error()
	sum, n, err := contentSum(ctx, s.Store, full, it.seg.Bytes)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if err == nil && n == it.seg.Bytes && sum == it.seg.SHA256 {
		return nil
	}
	return &FencedError{Store: s.url, NodeID: s.a.opts.Epoch.NodeID, Own: s.a.opts.Epoch.Epoch, Key: full,
		Reason: "the object there is a different one: " + reason}
}

// contentSum is the SHA-256 and length of what an object decompresses to,
// read no further than bytesMax+1.
func contentSum(ctx context.Context, s Store, full string, bytesMax int64) (sum [32]byte, n int64, err error) {
	r, err := s.ReadRange(ctx, full, 0, -1)
	if err != nil {
		return sum, 0, err
	}
	defer func() { _ = r.Close() }()
	plain, err := Unseal(r)
	if err != nil {
		return sum, 0, err
	}
	defer func() { _ = plain.Close() }()
	h := sha256.New()
	n, err = io.Copy(h, io.LimitReader(plain, bytesMax+1))
	return [32]byte(h.Sum(nil)), n, err
}

// confirm makes a proven segment count, unless another writer has taken over
// in the meantime.
func (s *storeRun) confirm(ctx context.Context, it *item, sent *upload) error {
	if err := s.checkFence(ctx); err != nil {
		return err
	}
	s.a.count(func() { delete(s.present, it.key) })
	_ = s.a.journal.add(s.line(lineVerified, it, &upload{key: sent.key}), false) // a cache
	return nil
}

// line is a line about it; sent is nil for a gap.
func (s *storeRun) line(kind string, it *item, sent *upload) journalLine {
	l := journalLine{Kind: kind, Store: s.url, First: it.seg.First, Last: it.seg.Last}
	switch {
	case sent == nil && !it.hole:
		l.Key = it.key.String()
	case sent != nil:
		l.Key = sent.key.String()
		if sent.proof.Size > 0 {
			l.Proof = &sent.proof
		}
	}
	return l
}

// count changes figures and states under the lock.
func (a *Archiver) count(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}
