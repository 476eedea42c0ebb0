package index

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/nodedb-go/nodedb/archive"
)

const (
	tailBytes    = 24 << 10 // of the first request: a footer, and all of a small index
	aheadBytes   = 4 << 10  // fetched at least, and what the Parquet reader reads ahead
	joinBytes    = 32 << 10 // ranges that are nearer are one request
	rangesAtOnce = 8
)

// span is from from to to (exclusive).
type span struct{ from, to int64 }

// ranges is a ReaderAt over one object that keeps what it fetched: a search
// reads little, and says beforehand what it will read.
type ranges struct {
	ctx  context.Context
	s    archive.Store
	key  string
	size int64

	mu   sync.Mutex
	have []window
}

type window struct {
	span
	data []byte
}

// prefetch makes the spans known, with as few requests as are sensible, side by
// side.
func (r *ranges) prefetch(spans []span) error {
	var want []span
	for _, s := range spans {
		s.from, s.to = max(0, s.from), min(r.size, s.to)
		if s.from < s.to && r.find(s) == nil {
			want = append(want, s)
		}
	}
	slices.SortFunc(want, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	joined := want[:0]
	for _, s := range want {
		if n := len(joined); n > 0 && s.from <= joined[n-1].to+joinBytes {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	errs := make([]error, len(joined))
	slots := make(chan struct{}, rangesAtOnce)
	var wg sync.WaitGroup
	for i, s := range joined {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = r.fetch(s)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *ranges) fetch(s span) error {
	body, err := r.s.ReadRange(r.ctx, r.key, s.from, s.to-s.from)
	if err != nil {
		return err
	}
	data := make([]byte, s.to-s.from)
	_, err = io.ReadFull(body, data)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have = append(r.have, window{s, data})
	return nil
}

func (r *ranges) find(s span) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.have {
		if w.from <= s.from && s.to <= w.to {
			return w.data[s.from-w.from : s.to-w.from]
		}
	}
	return nil
}

// ReadAt reads what was fetched, or fetches it.
func (r *ranges) ReadAt(p []byte, off int64) (int, error) {
	end := min(r.size, off+int64(len(p)))
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	data := r.find(span{off, end})
	if data == nil {
		s := span{off, min(r.size, max(end, off+aheadBytes))}
		if err := r.fetch(s); err != nil {
			return 0, err
		}
		data = r.find(s)
	}
	if n := copy(p, data); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}
