package watch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	drainTimeout   = 30 * time.Second
	headerBytesMax = 64 << 10
)

// Serve takes events from who connects to l, and closes it. It catches up beside
// that: who posts early is not kept waiting. It returns nil at the end of ctx, when
// what was under way is done or given back to its sender, and an error when the
// first catching up fails or l does.
func (w *Watcher) Serve(ctx context.Context, l net.Listener, token string) error {
	// What is begun is finished, within drainTimeout.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: w.Hook(work, token), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
	}
	var parts sync.WaitGroup
	var failed error // parts.Wait comes before it is read
	parts.Go(func() {
		if failed = notOver(ctx, w.catchUp(ctx)); failed != nil {
			cancel()
		}
	})
	parts.Go(func() {
		<-ctx.Done()
		stop, end := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer end()
		if server.Shutdown(stop) != nil {
			stopWork()
			_ = server.Close() // the connections that are left
		}
	})
	err := server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	cancel()
	parts.Wait()
	return errors.Join(failed, err)
}
