package index

import (
	"context"
	"errors"

	"github.com/nodedb-go/nodedb/archive"
)

// Summary is what CatchUp did.
type Summary struct {
	Store     string    `json:"store"`
	Segments  int       `json:"segments"`  // without an index, when it began
	Indexed   int       `json:"indexed"`   // now
	Existed   int       `json:"existed"`   // made by somebody else meanwhile
	Encrypted int       `json:"encrypted"` // left out, see ErrEncrypted
	Gone      int       `json:"gone"`      // since they were listed
	Rows      int       `json:"rows"`
	Bytes     int64     `json:"bytes"` // of the indexes
	Problems  []Problem `json:"problems"`
}

// Problem is a segment that cannot be indexed.
type Problem struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// CatchUp indexes every segment that has no index, one after the other: each
// takes both CPUs of a small machine, and the memory of its changes. What cannot
// be indexed because of what it is becomes a problem and the rest goes on; trouble
// of the store ends it. What was indexed stays, so that it can be called again.
func CatchUp(ctx context.Context, a *archive.Archive, o *Options, progress func(done, total int)) (Summary, error) {
	sum := Summary{Store: a.Store().URL(), Problems: []Problem{}}
	c, err := a.Catalog(ctx)
	if err != nil {
		return sum, err
	}
	missing := Missing(c)
	sum.Segments = len(missing)
	for i, s := range missing {
		if progress != nil {
			progress(i, len(missing))
		}
		if err := sum.Build(ctx, a, s, o); err != nil {
			return sum, err
		}
	}
	if progress != nil {
		progress(len(missing), len(missing))
	}
	return sum, nil
}

// Build indexes one segment and counts what came of it. What cannot be indexed
// because of what it is becomes a problem; an error is trouble of the store, or
// the end of ctx.
func (sum *Summary) Build(ctx context.Context, a *archive.Archive, s archive.SegmentEntry, o *Options) error {
	b, err := Build(ctx, a, s, o)
	switch {
	case err == nil && b.Existed:
		sum.Existed++
	case err == nil:
		sum.Indexed++
		sum.Rows += b.Rows
		sum.Bytes += b.Bytes
	case errors.Is(err, ErrEncrypted):
		sum.Encrypted++
	case errors.Is(err, archive.ErrNotFound):
		sum.Gone++
	case ctx.Err() != nil || OfStore(err):
		return err
	default:
		sum.Problems = append(sum.Problems, Problem{Key: s.Object.Key, Reason: err.Error()})
	}
	return nil
}

// OfStore tells trouble of the store from what a segment is. What is in cold
// storage is a segment's own trouble.
func OfStore(err error) bool {
	var se *archive.StoreError
	return errors.As(err, &se) && !errors.Is(err, archive.ErrCold)
}
