package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"filippo.io/age"
)

const (
	ageChunkBytes    = 64 << 10               // of content in one chunk
	ageSealedChunk   = ageChunkBytes + 16     // with its authenticator
	ageHeadReadBytes = 4<<10 + ageSealedChunk // the header for a few recipients, and the first chunk

	// ageHeaderBytesMax is room for the header of recipientsMax recipients: what
	// is longer is no header, and would be kept in memory.
	ageHeaderBytesMax = 1 << 20
)

var errLongHeader = fmt.Errorf("its header has more than %d bytes", ageHeaderBytesMax)

// decrypt streams what an encrypted object holds. Errors are those of src,
// *KeyMissingError, or *ObjectError for bytes that were changed.
func (a *Archive) decrypt(ctx context.Context, key string, r RecipientsID, src io.Reader) (io.Reader, error) {
	d := &decrypter{src: sourceReader{r: src, left: ageHeaderBytesMax}, url: a.store.URL(), key: key}
	if a.ids == nil || len(a.ids.keys) == 0 {
		return nil, a.keyMissing(ctx, key, r)
	}
	var err error
	if d.plain, err = age.Decrypt(&d.src, a.ids.keys...); err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, a.keyMissing(ctx, key, r)
		}
		return nil, d.classify(err)
	}
	d.src.left = math.MaxInt64
	return d, nil
}

// keyMissing finds out which keys would do. That they cannot be read is no
// news: the name of the set stands for them.
func (a *Archive) keyMissing(ctx context.Context, key string, r RecipientsID) error {
	e := &KeyMissingError{Store: a.store.URL(), Key: key, Recipients: r, Given: a.ids.Public()}
	if info, err := ReadRecipients(ctx, a.store, a.nodeID, r); err == nil {
		e.Needed = info.Recipients
	}
	return e
}

type decrypter struct {
	src      sourceReader
	plain    io.Reader
	url, key string
}

func (d *decrypter) Read(p []byte) (int, error) {
	n, err := d.plain.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.classify(err)
	}
	return n, err
}

// classify tells the source's own errors from damage.
func (d *decrypter) classify(err error) error {
	if d.src.err != nil {
		return fmt.Errorf("decrypt: %w", d.src.err)
	}
	return &ObjectError{Store: d.url, Key: d.key, Offset: -1, Reason: "it cannot be decrypted", Err: err}
}

// sourceReader remembers a source's own error, which would be wrapped as damage,
// and ends a header that does not end.
type sourceReader struct {
	r    io.Reader
	left int64
	err  error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, errLongHeader
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// decryptAt is decrypt for ranges. src has size bytes.
func (a *Archive) decryptAt(key string, r RecipientsID, src *rangeReader, size int64) (io.ReaderAt, int64, error) {
	if a.ids == nil || len(a.ids.keys) == 0 {
		return nil, 0, a.keyMissing(src.ctx, key, r)
	}
	from := &sourceReaderAt{r: src}
	from.left.Store(ageHeaderBytesMax)
	plain, n, err := age.DecryptReaderAt(from, size, a.ids.keys...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, 0, a.keyMissing(src.ctx, key, r)
		}
		return nil, 0, a.decryptErr(key, from, err)
	}
	from.left.Store(math.MaxInt64)
	chunks := max(1, (n+ageChunkBytes-1)/ageChunkBytes)
	return &decrypterAt{
		a: a, key: key, src: src, from: from, plain: plain,
		start: size - n - 16*chunks, end: size,
	}, n, nil
}

func (a *Archive) decryptErr(key string, from *sourceReaderAt, err error) error {
	if serr := from.failed(); serr != nil {
		return fmt.Errorf("decrypt: %w", serr)
	}
	return &ObjectError{Store: a.store.URL(), Key: key, Offset: -1, Reason: "it cannot be decrypted", Err: err}
}

// decrypterAt fetches the chunks of one read with one request; the decrypter
// below it would make one for each.
type decrypterAt struct {
	a          *Archive
	key        string
	src        *rangeReader
	from       *sourceReaderAt
	plain      io.ReaderAt
	start, end int64 // of the chunks in the object
}

func (d *decrypterAt) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 || off < 0 {
		return d.plain.ReadAt(p, off)
	}
	first, last := off/ageChunkBytes, (off+int64(len(p))-1)/ageChunkBytes
	lo, hi := d.start+first*ageSealedChunk, min(d.end, d.start+(last+1)*ageSealedChunk)
	if last > first && lo < hi && !d.src.holds(lo, hi) {
		if err := d.src.prefetch(lo, hi); err != nil {
			return 0, fmt.Errorf("decrypt: %w", err)
		}
	}
	n, err := d.plain.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.a.decryptErr(d.key, d.from, err)
	}
	return n, err
}

// sourceReaderAt is sourceReader for ranges.
type sourceReaderAt struct {
	r    io.ReaderAt
	left atomic.Int64
	mu   sync.Mutex
	e    error // the last one
}

func (s *sourceReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if s.left.Add(-int64(len(p))) < 0 {
		return 0, errLongHeader
	}
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.e = err
		s.mu.Unlock()
	}
	return n, err
}

// failed gives the error once: a later read may go well.
func (s *sourceReaderAt) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.e
	s.e = nil
	return err
}
