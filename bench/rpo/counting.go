package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/archive"
)

// countingStore counts requests to a store by kind. A listing counts once, however
// many pages it has.
type countingStore struct {
	archive.Store
	creates, reads, stats, lists, deletes atomic.Int64
}

func (c *countingStore) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	c.creates.Add(1)
	return c.Store.Create(ctx, key, body, size)
}

func (c *countingStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	c.reads.Add(1)
	return c.Store.ReadRange(ctx, key, off, n)
}

func (c *countingStore) Stat(ctx context.Context, key string) (archive.Object, error) {
	c.stats.Add(1)
	return c.Store.Stat(ctx, key)
}

func (c *countingStore) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	c.lists.Add(1)
	return c.Store.List(ctx, prefix, after)
}

func (c *countingStore) Delete(ctx context.Context, key string) error {
	c.deletes.Add(1)
	return c.Store.Delete(ctx, key)
}

// take gives the counts since the last time, in words.
func (c *countingStore) take() string {
	var out []string
	for _, k := range []struct {
		name string
		n    *atomic.Int64
	}{{"create", &c.creates}, {"read", &c.reads}, {"stat", &c.stats}, {"list", &c.lists}, {"delete", &c.deletes}} {
		if n := k.n.Swap(0); n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k.name))
		}
	}
	if out == nil {
		return "no requests"
	}
	return strings.Join(out, ", ")
}
