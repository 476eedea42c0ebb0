package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/lambda/index"
)

// eventsMax is how many events wait for their turn. Whoever sends them does not
// wait, so that they are taken at once; what does not fit is found by listing.
const eventsMax = 4096

// againMax limits how the waits between two connections grow.
const againMax = time.Minute

// ErrNoNotifications: the store does not tell its events.
var ErrNoNotifications = errors.New("watch: store does not tell its events")

// Listener hears of changes in a store.
type Listener interface {
	// Listen calls up when it is connected, each time anew, and each for every
	// change, both on its own goroutine. It returns when the connection cannot be
	// kept, or with ErrNoNotifications when there is none to be had.
	Listen(ctx context.Context, up func(), each func(index.Change)) error
}

// Notify indexes what a listener hears of. Whenever the listener is connected, it
// lists for what was missed before. It returns nil at the end of ctx, and an error
// when catching up fails at the start or the store does not tell its events.
func (w *Watcher) Notify(ctx context.Context, l Listener) error {
	h := *w.Handler
	h.Told = leftOnce(h.Told)
	w = &Watcher{Handler: &h, Interval: w.Interval, Logger: w.Logger}
	if err := w.catchUp(ctx); err != nil {
		return notOver(ctx, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	n := &notified{Watcher: w, changes: make(chan index.Change, eventsMax), missed: make(chan struct{}, 1)}
	var worker sync.WaitGroup
	worker.Go(func() { n.work(ctx) })
	defer worker.Wait()
	defer cancel()
	for wait := w.interval(); ; wait = min(2*wait, max(againMax, w.interval())) {
		connected := false
		err := l.Listen(ctx, func() { connected = true; n.miss() }, n.take)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrNoNotifications):
			return err
		case connected:
			wait = w.interval()
		}
		w.log().WarnContext(ctx, "connection for events is lost", "error", text(err), "again_in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

func notOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func text(err error) string {
	if err == nil {
		return "closed by the other side"
	}
	return err.Error()
}

// leftMax is how many segments without an index are remembered.
const leftMax = 1 << 16

// leftOnce tells of a segment that is left without an index once, though every
// listing finds it again; when it must remember too many, once more.
func leftOnce(tell func(index.Result)) func(index.Result) {
	if tell == nil {
		return nil
	}
	left := map[string]bool{}
	return func(r index.Result) {
		if r.Outcome == index.Encrypted || r.Outcome == index.Refused {
			if left[r.Segment] {
				return
			}
			if len(left) >= leftMax {
				clear(left)
			}
			left[r.Segment] = true
		}
		tell(r)
	}
}

// notified is one Notify. The listener's goroutine sends, its worker receives.
type notified struct {
	*Watcher
	changes chan index.Change
	missed  chan struct{} // holds one when something may have been missed
}

func (n *notified) miss() {
	select {
	case n.missed <- struct{}{}:
	default:
	}
}

// take never waits.
func (n *notified) take(c index.Change) {
	select {
	case n.changes <- c:
	default:
		n.miss()
	}
}

// work indexes one thing after the other. After trouble it waits, and lists.
func (n *notified) work(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		select {
		case <-ctx.Done():
		case <-n.missed:
			err = n.catchUp(ctx)
		case c := <-n.changes:
			err = n.Handler.Object(ctx, c)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, index.ErrPoison) {
			continue
		}
		n.log().WarnContext(ctx, "segments are not indexed yet", "error", err.Error())
		n.pause(ctx)
		n.miss()
	}
}
