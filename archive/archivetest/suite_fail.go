package archivetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// testCancelled: a context that is over before the call.
func testCancelled(t *testing.T, s archive.Store) {
	mustCreate(t, s, "there", []byte("x"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel2 := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel2()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{cancelled, context.Canceled}, {late, context.DeadlineExceeded}} {
		wantClass(t, "Create", s.Create(c.ctx, "new", strings.NewReader("x"), 1), c.want)
		_, err := s.Stat(c.ctx, "there")
		wantClass(t, "Stat", err, c.want)
		_, err = readAll(c.ctx, s, "there", 0, -1)
		wantClass(t, "ReadRange", err, c.want)
		wantClass(t, "Delete", s.Delete(c.ctx, "there"), c.want)
		for _, err := range s.List(c.ctx, "", "") {
			wantClass(t, "List", err, c.want)
		}
	}
	wantContent(t, s, "there", []byte("x"))
	if _, err := s.Stat(t.Context(), "new"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("a cancelled Create left an object: %v", err)
	}
}

// hookBody calls hook when the byte at is first read.
type hookBody struct {
	data []byte
	at   int64
	hook func() error
	done atomic.Bool
}

func (b *hookBody) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.at && !b.done.Swap(true) {
		if err := b.hook(); err != nil {
			return 0, err
		}
	}
	return bytes.NewReader(b.data).ReadAt(p, off)
}

// testCancelledMidway: the context ends while the body is being sent. No part
// of it may show, and the key must be free.
func testCancelledMidway(t *testing.T, s archive.Store) {
	data := pattern(3, 11<<20)
	for _, at := range []int64{0, 4 << 20, 11<<20 - 1} {
		ctx, cancel := context.WithCancel(t.Context())
		body := &hookBody{data: data, at: at, hook: func() error { cancel(); return nil }}
		err := s.Create(ctx, "midway", body, int64(len(data)))
		cancel()
		wantClass(t, "Create", err, context.Canceled)
		if got := listKeys(t, s, "", ""); len(got) > 0 {
			t.Fatalf("cancelled at byte %d, but %q is there", at, got)
		}
	}
	mustCreate(t, s, "midway", data)
	wantContent(t, s, "midway", data)
}

// testBadBody: the source itself fails, or is shorter than promised.
func testBadBody(t *testing.T, s archive.Store) {
	data := pattern(4, 11<<20)
	errBody := errors.New("source went away")
	for _, c := range []struct {
		name  string
		body  io.ReaderAt
		cause error
	}{
		{"error at start", &hookBody{data: data, hook: func() error { return errBody }}, errBody},
		{"error midway", &hookBody{data: data, at: 8 << 20, hook: func() error { return errBody }}, errBody},
		// The source's file is gone: that does not make the object absent.
		{"file gone", &hookBody{data: data, at: 9 << 20, hook: func() error { return fs.ErrNotExist }}, fs.ErrNotExist},
		{"short", bytes.NewReader(data[:10<<20]), io.ErrUnexpectedEOF},
		{"short and empty", bytes.NewReader(nil), io.ErrUnexpectedEOF},
	} {
		err := s.Create(t.Context(), "bad", c.body, int64(len(data)))
		wantClass(t, c.name, err, archive.ErrBody)
		wantClass(t, c.name, err, c.cause)
		if errors.Is(err, archive.ErrNotFound) || archive.Retryable(err) {
			t.Errorf("%s: %v is of a second class", c.name, err)
		}
		if got := listKeys(t, s, "", ""); len(got) > 0 {
			t.Fatalf("%s: a failed Create left %q", c.name, got)
		}
	}
	// In parts again: what a failed upload staged may be in the way of an object
	// that comes in one piece, until the store forgets it (Azurite).
	good := pattern(5, len(data))
	mustCreate(t, s, "bad", good)
	wantContent(t, s, "bad", good)
}
