package archive

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"

	"filippo.io/age"
)

// sealedObject is a compressed, and perhaps encrypted, object in memory, and
// what it is.
type sealedObject struct {
	chunks
	info   SealInfo // of the compression
	age    Age      // zero: not encrypted
	proof  proof    // of the bytes to be stored
	memory *budget
	held   int64
}

func (o *sealedObject) free() {
	o.chunks.free()
	o.memory.release(o.held)
}

// sealBytes compresses src, of rawBytes bytes, into memory taken from m, and
// encrypts it on the way unless r is nil.
func sealBytes(ctx context.Context, m *budget, r *Recipients, src io.Reader, rawBytes int64) (*sealedObject, error) {
	return sealWith(ctx, m, r, src, rawBytes, func() []byte { return nil })
}

// sealWith is sealBytes with bytes that follow what is encrypted, known when
// src is read.
func sealWith(ctx context.Context, m *budget, r *Recipients, src io.Reader, rawBytes int64, tail func() []byte) (*sealedObject, error) {
	// Data that does not compress grows by its frame headers and seek table,
	// and by an authenticator for each chunk that is encrypted.
	held, err := m.acquire(ctx, rawBytes+rawBytes/64+chunkBytes)
	if err != nil {
		return nil, err
	}
	o := &sealedObject{memory: m, held: held}
	out := newProofWriter(&o.chunks, math.MaxInt64)
	if r == nil {
		o.info, err = seal(out, &ctxReader{ctx, src}, nil)
	} else {
		o.info, err = sealAge(out, &ctxReader{ctx, src}, r)
		if err == nil {
			_, err = out.Write(tail())
		}
	}
	if err != nil {
		o.free()
		return nil, err
	}
	o.finish(out, r)
	if over := o.held - int64(len(o.parts))*chunkBytes; over > 0 {
		o.held -= over
		m.release(over)
	}
	return o, nil
}

// sealAge seals src into an age file for r.
func sealAge(dst io.Writer, src io.Reader, r *Recipients) (SealInfo, error) {
	enc, err := age.Encrypt(dst, r.keys...)
	if err != nil {
		return SealInfo{}, err
	}
	info, err := seal(enc, src, nil)
	return info, errors.Join(err, enc.Close())
}

// SealFor is Seal into an age file for r. What SealInfo tells of what was
// written is of the age file.
func SealFor(dst io.Writer, src io.Reader, r *Recipients) (SealInfo, error) {
	out := &countingWriter{w: dst, sum: md5.New()}
	info, err := sealAge(out, src, r)
	if err != nil {
		return SealInfo{}, err
	}
	info.SealedBytes = out.n
	out.sum.Sum(info.SealedMD5[:0])
	return info, nil
}

// finish takes the hashes of what was written in. r is nil when it was not
// encrypted.
func (o *sealedObject) finish(out *proofWriter, r *Recipients) {
	o.proof = proof{Size: o.size, MD5: out.md5.Sum(nil), SHA256: out.sha256.Sum(nil)}
	if r != nil {
		o.age = Age{Recipients: r.ID(), MD5: ShortSum(o.proof.MD5[:len(ShortSum{})])}
	}
}

// proofWriter hashes what it stores, up to a limit.
type proofWriter struct {
	*chunks
	sha256, md5 hash.Hash
	bytesMax    int64
}

func newProofWriter(c *chunks, bytesMax int64) *proofWriter {
	return &proofWriter{chunks: c, sha256: sha256.New(), md5: md5.New(), bytesMax: bytesMax}
}

func (w *proofWriter) Write(p []byte) (int, error) {
	if w.size+int64(len(p)) > w.bytesMax {
		return 0, fmt.Errorf("%w: it grows above %d bytes", ErrCorrupt, w.bytesMax)
	}
	w.sha256.Write(p)
	w.md5.Write(p)
	return w.chunks.Write(p)
}
