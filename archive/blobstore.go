package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

const (
	// The portable writer's memory for one upload is about
	// (concurrency + 1) × buffer.
	blobBufferBytes = 5 << 20
	blobConcurrency = 1
	blobPageSize    = 1000
	copyBufferBytes = 256 << 10
	octetStream     = "application/octet-stream"
)

// blobStore is a Store over any gocloud.dev/blob bucket. S3 buckets are
// written through their own client (s3put.go), all others through the
// portable writer.
type blobStore struct {
	// Immutable.
	shown  string
	prefix string
	bucket *blob.Bucket // without prefix, so that options of drivers see whole keys
	s3     *s3Creator   // nil unless the bucket is S3 and came from a URL

	// Set by the first answer that proves that the bucket is there; from then
	// on a "not found" is about the object.
	seen atomic.Bool
}

// NewBlobStore makes a Store of a bucket that the caller opened. url names it
// in errors and is redacted. The Store owns the bucket from now on.
func NewBlobStore(b *blob.Bucket, url string) Store {
	return newBlobStore(b, &storeURL{shown: RedactURL(url)})
}

func newBlobStore(b *blob.Bucket, u *storeURL) *blobStore {
	return &blobStore{shown: u.shown, prefix: u.prefix, bucket: b, s3: newS3Creator(b, u)}
}

func (s *blobStore) URL() string { return s.shown }

func (s *blobStore) Close() error { return s.bucket.Close() }

// check comes before every request: not all drivers look at a context that is
// over already.
func (s *blobStore) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkKey(s.prefix + key)
}

func (s *blobStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if err := s.check(ctx, key); err != nil {
		return s.fail(ctx, "create", key, err)
	}
	if size < 0 {
		return s.fail(ctx, "create", key, fmt.Errorf("%w: size %d", ErrRefused, size))
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src := &source{body: body, size: size, fail: cancel}
	var err error
	if s.s3 != nil {
		err = s.s3.create(wctx, key, src)
	} else {
		err = s.createPortable(wctx, key, src)
	}
	serr := src.stop()
	switch {
	case err == nil:
		s.seen.Store(true)
		return nil
	case serr != nil && ctx.Err() == nil:
		return &StoreError{Op: "create", Store: s.shown, Key: key, Class: ErrBody, Err: serr}
	}
	return s.orExists(ctx, key, s.fail(ctx, "create", key, err))
}

// orExists asks once more when a create got no answer: a server that refuses
// an object because it is there may answer and close before it took the body,
// and then a client that is still sending sees a broken connection, however
// often it tries. So does one whose first try arrived and lost its answer.
func (s *blobStore) orExists(ctx context.Context, key string, err error) error {
	if !errors.Is(err, ErrUnreachable) || statusCode(err) != 0 {
		return err
	}
	if _, serr := s.bucket.Attributes(ctx, s.prefix+key); serr != nil {
		return err
	}
	s.seen.Store(true)
	return &StoreError{Op: "create", Store: s.shown, Key: key, Class: ErrExists, Err: errors.New("found after the connection broke: " + err.Error())}
}

// createPortable lets the driver read the body. A source that fails cancels ctx
// before the driver could publish what it has so far. The writer that is fed by
// Write is not used: Azure's panics when the server refuses the object.
func (s *blobStore) createPortable(ctx context.Context, key string, src *source) error {
	err := s.bucket.Upload(ctx, s.prefix+key, onlyReader{src.reader()}, &blob.WriterOptions{
		BufferSize: blobBufferBytes, MaxConcurrency: blobConcurrency,
		ContentType: octetStream, IfNotExist: true,
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// onlyWriter and onlyReader hide ReadFrom, WriteTo and Seek, which would copy
// with buffers of their own size.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

func (s *blobStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	err := s.check(ctx, key)
	if err == nil && off < 0 {
		err = fmt.Errorf("%w: offset %d is negative", ErrRefused, off)
	}
	if err != nil {
		return nil, s.fail(ctx, "read", key, err)
	}
	r, err := s.bucket.NewRangeReader(ctx, s.prefix+key, off, n, nil)
	if err != nil {
		if statusCode(err) == 416 { // the object is there and ends before off
			return io.NopCloser(strings.NewReader("")), nil
		}
		return nil, s.notFound(ctx, "read", key, err)
	}
	s.seen.Store(true)
	want := max(r.Size()-off, 0)
	if n >= 0 {
		want = min(want, n)
	}
	return &bodyReader{ctx: ctx, r: r, left: want, fail: func(err error) error {
		return s.fail(ctx, "read", key, err)
	}}, nil
}

func (s *blobStore) Stat(ctx context.Context, key string) (Object, error) {
	a, err := s.attributes(ctx, key)
	if err != nil {
		return Object{}, err
	}
	return Object{Key: key, Size: a.Size, ModTime: a.ModTime, MD5: a.MD5, Class: classOf(a.As)}, nil
}

// attributes are what the store tells of an object; errors are those of Stat.
func (s *blobStore) attributes(ctx context.Context, key string) (*blob.Attributes, error) {
	if err := s.check(ctx, key); err != nil {
		return nil, s.fail(ctx, "stat", key, err)
	}
	a, err := s.bucket.Attributes(ctx, s.prefix+key)
	if err != nil {
		return nil, s.notFound(ctx, "stat", key, err)
	}
	s.seen.Store(true)
	return a, nil
}

// List reads pages, so memory does not grow with the store.
func (s *blobStore) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		opts := &blob.ListOptions{Prefix: s.prefix + prefix}
		if after != "" {
			opts.BeforeList = s.startAfter(after)
		}
		for token := blob.FirstPageToken; len(token) > 0; {
			page, next, err := s.bucket.ListPage(ctx, token, blobPageSize, opts)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Object{}, s.listFailed(ctx, err))
				return
			}
			s.seen.Store(true)
			for _, o := range page {
				key, ok := strings.CutPrefix(o.Key, s.prefix)
				if !ok || o.IsDir || key <= after {
					continue
				}
				if !yield(Object{Key: key, Size: o.Size, ModTime: o.ModTime, MD5: o.MD5, Class: classOf(o.As)}, nil) {
					return
				}
			}
			token = next
		}
	}
}

// Folders lists with a delimiter, so what lies deeper costs nothing.
func (s *blobStore) Folders(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		opts := &blob.ListOptions{Prefix: s.prefix + prefix, Delimiter: "/"}
		for token := blob.FirstPageToken; len(token) > 0; {
			page, next, err := s.bucket.ListPage(ctx, token, blobPageSize, opts)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield("", s.listFailed(ctx, err))
				return
			}
			s.seen.Store(true)
			for _, o := range page {
				name, ok := strings.CutPrefix(o.Key, s.prefix+prefix)
				if ok && o.IsDir && !yield(strings.TrimSuffix(name, "/"), nil) {
					return
				}
			}
			token = next
		}
	}
}

// listFailed: a listing misses nothing but its bucket.
func (s *blobStore) listFailed(ctx context.Context, err error) error {
	err = s.fail(ctx, "list", "", err)
	if errors.Is(err, ErrNotFound) {
		return &StoreError{Op: "list", Store: s.shown, Class: ErrNoStore}
	}
	return err
}

// startAfter spares S3 the keys before after; other stores list and drop them.
func (s *blobStore) startAfter(after string) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var in *s3.ListObjectsV2Input
		if as(&in) && in.ContinuationToken == nil {
			full := s3Key(s.prefix + after)
			in.StartAfter = &full
		}
		return nil
	}
}

func (s *blobStore) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx, key); err != nil {
		return s.fail(ctx, "delete", key, err)
	}
	if err := s.bucket.Delete(ctx, s.prefix+key); err != nil {
		return s.notFound(ctx, "delete", key, err)
	}
	return nil
}

// notFound keeps a missing bucket apart from a missing object: the answer to
// a request about an object does not always say which it was.
func (s *blobStore) notFound(ctx context.Context, op, key string, err error) error {
	err = s.fail(ctx, op, key, err)
	if !errors.Is(err, ErrNotFound) || s.seen.Load() {
		return err
	}
	ok, aerr := s.bucket.IsAccessible(ctx)
	switch {
	case aerr != nil:
		// Whether a listing is allowed says nothing about the object.
		if !errors.Is(classify(ctx, aerr), ErrDenied) {
			return s.fail(ctx, op, key, aerr)
		}
	case !ok:
		return &StoreError{Op: op, Store: s.shown, Key: key, Class: ErrNoStore}
	}
	s.seen.Store(true)
	return err
}

func (s *blobStore) fail(ctx context.Context, op, key string, err error) error {
	return storeError(ctx, op, s.shown, key, err)
}
