package archive

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/nodedb-go/nodedb/wal"
)

// endless is a store whose listing of segments does not end, or which holds many
// names that nobody knows.
type endless struct {
	foreign int
	given   int
}

func (s *endless) List(_ context.Context, prefix, _ string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for i := 0; s.foreign == 0 || i < s.foreign; i++ {
			s.given++
			key := fmt.Sprintf("%s../../etc/passwd-%08d", prefix, i)
			if s.foreign == 0 {
				key = prefix + SegmentKey{Timeline: 1, First: wal.LSN(i + 1), Last: wal.LSN(i + 1), Epoch: 1}.String()
			}
			if !yield(Object{Key: key, Size: 1}, nil) {
				return
			}
		}
	}
}

func (s *endless) Create(_ context.Context, key string, _ io.ReaderAt, _ int64) error {
	return &StoreError{Op: "create", Store: s.URL(), Key: key, Class: ErrRefused}
}

func (s *endless) ReadRange(_ context.Context, key string, _, _ int64) (io.ReadCloser, error) {
	return nil, &StoreError{Op: "read", Store: s.URL(), Key: key, Class: ErrNotFound}
}

func (s *endless) Stat(_ context.Context, key string) (Object, error) {
	return Object{}, &StoreError{Op: "stat", Store: s.URL(), Key: key, Class: ErrNotFound}
}

func (s *endless) Delete(_ context.Context, key string) error {
	return &StoreError{Op: "delete", Store: s.URL(), Key: key, Class: ErrNotFound}
}

func (s *endless) URL() string  { return "endless://" }
func (s *endless) Close() error { return nil }
