package archivetest

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/archive"
)

// FrozenDays is until when a copy of a [Frozen] store is readable.
var FrozenDays = time.Date(2030, 1, 8, 0, 0, 0, 0, time.UTC)

// Frozen is a store of which some objects are in cold storage, as on S3: they are
// listed and described, their bodies are refused, and who asks for them waits.
// It implements archive.Thawer.
type Frozen struct {
	archive.Store

	mu    sync.Mutex
	class map[string]archive.StorageClass // of frozen objects, by key
	state map[string]archive.ThawState
	asked []string
	// Refuse decides about a request to thaw; nil: it is granted.
	Refuse func(key string) error
}

// NewFrozen is s, with nothing frozen.
func NewFrozen(s archive.Store) *Frozen {
	return &Frozen{Store: s, class: make(map[string]archive.StorageClass), state: make(map[string]archive.ThawState)}
}

// Freeze moves all objects whose keys match to a class, as a lifecycle rule does;
// "" is the ordinary one again.
func (f *Frozen) Freeze(ctx context.Context, class archive.StorageClass, match func(key string) bool) (keys []string, err error) {
	for o, err := range f.Store.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		if match(o.Key) {
			keys = append(keys, o.Key)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		f.class[k], f.state[k] = class, archive.Frozen
	}
	return keys, nil
}

// Finish makes readable what is under way.
func (f *Frozen) Finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, s := range f.state {
		if s == archive.Thawing {
			f.state[k] = archive.Readable
		}
	}
}

// Asked are the keys that were asked for, in order.
func (f *Frozen) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// State is how far a key is; Readable when it was never frozen.
func (f *Frozen) State(key string) archive.ThawState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.class[key] == "" {
		return archive.Readable
	}
	return f.state[key]
}

// classOf is "STANDARD" for what was never frozen.
func (f *Frozen) classOf(key string) archive.StorageClass {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.class[key]; c != "" {
		return c
	}
	return "STANDARD"
}

// List tells classes, and nothing of copies, as S3 does.
func (f *Frozen) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	return func(yield func(archive.Object, error) bool) {
		for o, err := range f.Store.List(ctx, prefix, after) {
			o.Class = f.classOf(o.Key)
			if !yield(o, err) {
				return
			}
		}
	}
}

// Stat tells of copies too.
func (f *Frozen) Stat(ctx context.Context, key string) (archive.Object, error) {
	o, err := f.Store.Stat(ctx, key)
	if err != nil {
		return o, err
	}
	t, err := f.ThawOf(ctx, key)
	o.Class = t.Class
	return o, err
}

// ReadRange refuses what is cold.
func (f *Frozen) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if f.State(key) != archive.Readable {
		return nil, &archive.StoreError{Op: "read", Store: f.URL(), Key: key, Class: archive.ErrCold}
	}
	return f.Store.ReadRange(ctx, key, off, n)
}

// ThawOf implements archive.Thawer.
func (f *Frozen) ThawOf(ctx context.Context, key string) (archive.Thaw, error) {
	if _, err := f.Store.Stat(ctx, key); err != nil {
		return archive.Thaw{}, err
	}
	t := archive.Thaw{State: f.State(key), Class: f.classOf(key)}
	if t.State == archive.Readable && t.Class.Cold() {
		t.Class, t.Until = t.Class+" (thawed)", FrozenDays
	}
	return t, nil
}

// Thaw implements archive.Thawer.
func (f *Frozen) Thaw(_ context.Context, key string, _ archive.ThawTier, _ int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Refuse != nil {
		if err := f.Refuse(key); err != nil {
			return err
		}
	}
	f.asked = append(f.asked, key)
	if f.class[key] == "" {
		return &archive.StoreError{Op: "thaw", Store: f.URL(), Key: key, Class: archive.ErrRefused}
	}
	if f.state[key] == archive.Frozen {
		f.state[key] = archive.Thawing
	}
	return nil
}
