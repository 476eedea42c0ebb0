package archivetest

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
)

// listPage is how many names one request for a listing brings from a cloud.
const listPage = 1000

// Requests are what a cloud would have charged.
type Requests struct {
	Puts, Gets, Heads, Lists, Deletes int
	BytesIn, BytesOut                 int64 // stored, read
}

// Add adds them up.
func (r Requests) Add(o Requests) Requests {
	return Requests{r.Puts + o.Puts, r.Gets + o.Gets, r.Heads + o.Heads, r.Lists + o.Lists, r.Deletes + o.Deletes,
		r.BytesIn + o.BytesIn, r.BytesOut + o.BytesOut}
}

// Sub is what came since o.
func (r Requests) Sub(o Requests) Requests {
	return r.Add(Requests{-o.Puts, -o.Gets, -o.Heads, -o.Lists, -o.Deletes, -o.BytesIn, -o.BytesOut})
}

// Counted is a store that counts the requests that it would be in a cloud: a
// listing is one for each thousand names.
type Counted struct {
	archive.Store

	mu       sync.Mutex
	requests Requests
	listed   map[string]int // requests by prefix
}

// NewCounted counts what is asked of s.
func NewCounted(s archive.Store) *Counted { return &Counted{Store: s, listed: make(map[string]int)} }

// Requests are those until now.
func (c *Counted) Requests() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Take gives the requests since the last Take, or the beginning.
func (c *Counted) Take() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.requests
	c.requests = Requests{}
	return out
}

// Listed are the prefixes that were listed, sorted.
func (c *Counted) Listed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for prefix := range c.listed {
		out = append(out, prefix)
	}
	slices.Sort(out)
	return out
}

func (c *Counted) count(r Requests) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = c.requests.Add(r)
}

// Create counts as one request, whatever comes of it.
func (c *Counted) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	c.count(Requests{Puts: 1, BytesIn: size})
	return c.Store.Create(ctx, key, body, size)
}

// ReadRange counts one request, and the bytes that are taken from its body.
func (c *Counted) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	c.count(Requests{Gets: 1})
	body, err := c.Store.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &countedBody{body, c}, nil
}

type countedBody struct {
	io.ReadCloser
	c *Counted
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.count(Requests{BytesOut: int64(n)})
	return n, err
}

// Stat counts as one request.
func (c *Counted) Stat(ctx context.Context, key string) (archive.Object, error) {
	c.count(Requests{Heads: 1})
	return c.Store.Stat(ctx, key)
}

// Delete counts as one request.
func (c *Counted) Delete(ctx context.Context, key string) error {
	c.count(Requests{Deletes: 1})
	return c.Store.Delete(ctx, key)
}

// List counts a request for each page that is begun. A store that drops the names
// up to after by itself is taken to be one that is spared them, as S3 is.
func (c *Counted) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		page := func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.requests.Lists++
			c.listed[prefix]++
		}
		page()
		n := 0
		for o, err := range c.Store.List(ctx, prefix, after) {
			if n++; n > listPage {
				page()
				n = 1
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
