package pitr

import (
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/nodedb-go/nodedb/archive"
)

// limitBurstMax is what may be read at once when nothing was read for a while:
// small, so that a limit of a slow line holds within any second.
const limitBurstMax = 256 << 10

// limitedStore reads bodies no faster than its limiter lets it; all fetches of
// a restore share one limiter, whatever store they ask.
type limitedStore struct {
	archive.Store
	limit *rate.Limiter
}

func newLimiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(bytesPerSecond, limitBurstMax)))
}

// limited is st, slowed down as the options say.
func (o *Options) limited(st archive.Store) archive.Store {
	if o.limiter == nil {
		return st
	}
	return &limitedStore{Store: st, limit: o.limiter}
}

// limitDelay is how long n bytes may take because of the limit alone, when all
// other downloads take their share: twice that, to be on the safe side.
func (o *Options) limitDelay(n int64) time.Duration {
	if o.limiter == nil {
		return 0
	}
	return time.Duration(2 * float64(o.Parallel) * float64(n) / float64(o.LimitBytes) * float64(time.Second))
}

func (s *limitedStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	body, err := s.Store.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &limitedBody{ReadCloser: body, ctx: ctx, limit: s.limit}, nil
}

type limitedBody struct {
	io.ReadCloser
	ctx   context.Context // of the read that the body belongs to
	limit *rate.Limiter
}

// Read pays for its bytes after they came: a short read costs what it brought.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.limit.Burst())])
	if n > 0 {
		if werr := b.limit.WaitN(b.ctx, n); werr != nil && err == nil {
			err = werr
		}
	}
	return n, err
}
