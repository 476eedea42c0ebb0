package resp

import (
	"context"
	"net"
	"sync"
	"time"
)

// guard slows down whoever tries passwords: each failure from an address makes the
// next answer to a failure there take twice as long.
type guard struct {
	mu    sync.Mutex
	fails map[string]failures
}

type failures struct {
	n    int
	last time.Time
}

const (
	guardFirst  = 50 * time.Millisecond
	guardMost   = 5 * time.Second
	guardForget = time.Minute // after the last failure
	guardHosts  = 10_000      // that are remembered
)

// failed waits before a failure from an address is told.
func (g *guard) failed(ctx context.Context, from net.Addr) {
	timer := time.NewTimer(g.delay(hostOf(from), time.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (g *guard) delay(host string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fails == nil || len(g.fails) >= guardHosts {
		g.fails = make(map[string]failures)
	}
	f := g.fails[host]
	if now.Sub(f.last) > guardForget {
		f.n = 0
	}
	d := guardMost
	if f.n < 7 {
		d = min(guardFirst<<f.n, guardMost)
	}
	g.fails[host] = failures{f.n + 1, now}
	return d
}

func hostOf(a net.Addr) string {
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}
