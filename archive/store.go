package archive

import (
	"context"
	"io"
	"iter"
	"time"
)

// Store is a flat, create-only object store: the one thing that the archive
// asks of file systems and clouds. Every implementation passes
// archivetest.Run.
//
// All methods may be called from many goroutines. They return when ctx is
// done, with an error that matches ctx.Err(). Every other error matches
// exactly one class of errors.go, by errors.Is.
type Store interface {
	// Create stores size bytes of body under key, once. It returns nil only
	// after the object is as durable as the store can make it, and ErrExists
	// when key holds an object already, whatever that object is; the older
	// object is never changed. When Create fails, or its ctx ends, no part of
	// the object is ever visible under key, but an error other than ErrExists
	// does not prove absence: the store may have taken the object and the
	// answer may have been lost. A retry then gets ErrExists.
	//
	// body is read by ReadAt, possibly more than once and concurrently, and
	// not after Create returned.
	Create(ctx context.Context, key string, body io.ReaderAt, size int64) error

	// ReadRange returns n bytes of the object from off; n < 0 means to the
	// end. A range that goes past the end is cut at the end. A body that ends
	// early gives io.ErrUnexpectedEOF, never a short io.EOF. The caller closes
	// the reader. ErrNotFound when there is no such object.
	ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

	// Stat describes the object; ErrNotFound when there is none.
	Stat(ctx context.Context, key string) (Object, error)

	// List yields every object whose key starts with prefix and sorts after
	// after ("" = all), in ascending byte order of keys. An error is yielded
	// once, last. A store that holds nothing yields nothing; a store that does
	// not exist yields ErrNoStore, or nothing if it is made by the first write.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]

	// Delete removes the object; ErrNotFound when there is none.
	Delete(ctx context.Context, key string) error

	// URL names the store for people and logs. It holds no credentials.
	URL() string

	// Close frees what the store holds. No method may be called after it.
	Close() error
}

// Object is what a store tells about one object.
type Object struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // by the store's clock
	MD5     []byte    // nil when the store does not know it
	Class   StorageClass
}

// StoreOptions are the parts of a store's URL that say how the archive uses
// it, not where it is.
type StoreOptions struct {
	// Optional takes the store out of the minimum that allows truncation.
	Optional bool
}
