package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// ErrEncrypted: the segment is encrypted, and its index would not be.
var ErrEncrypted = errors.New("index: segment is encrypted, and an index is not")

// Options of Build.
type Options struct {
	// Decode is required.
	Decode Decode
	// RevealEncrypted lets encrypted segments be indexed, where an identity opens
	// them. Whoever can read the archive then sees keys, times, sizes and hashes
	// of values, for which they had no private key.
	RevealEncrypted bool
}

// Built is the index of one segment.
type Built struct {
	Key     archive.IndexKey
	Rows    int   // 0 when it existed
	Bytes   int64 // of the object
	Existed bool
}

// Build reads a segment, verifies it, and creates its index. That it is there
// already is success: an index is a function of its segment.
//
// Errors are the store's, ErrEncrypted, *archive.KeyMissingError, or match
// archive.ErrCorrupt (damage, or a record that is not what it should be) or
// archive.ErrVersion (a later format), or are Decode's.
func Build(ctx context.Context, a *archive.Archive, s archive.SegmentEntry, o *Options) (Built, error) {
	b := Built{Key: s.Index()}
	if s.Age.Encrypted() && !o.RevealEncrypted {
		return b, fmt.Errorf("%w: %s", ErrEncrypted, s.Object.Key)
	}
	switch there, err := a.Store().Stat(ctx, a.Key(b.Key)); {
	case err == nil:
		b.Existed, b.Bytes = true, there.Size
		return b, nil
	case !errors.Is(err, archive.ErrNotFound):
		return b, err
	}
	var out bytes.Buffer
	rows, err := encodeSegment(ctx, a, s, o.Decode, &out)
	if err != nil {
		return b, err
	}
	b.Rows, b.Bytes = rows, int64(out.Len())
	err = a.Store().Create(ctx, a.Key(b.Key), bytes.NewReader(out.Bytes()), b.Bytes)
	if errors.Is(err, archive.ErrExists) {
		b.Existed, err = true, nil // somebody was faster, or an answer was lost
	}
	return b, err
}

func encodeSegment(ctx context.Context, a *archive.Archive, s archive.SegmentEntry, decode Decode, dst io.Writer) (int, error) {
	body, err := a.OpenSegment(ctx, s)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	c, seg, err := scan(ctx, body, s.Object.Key, decode)
	if err == nil {
		if err = s.Check(seg, a.NodeID()); err != nil {
			err = fmt.Errorf("%w: %w", archive.ErrCorrupt, err)
		}
	}
	if err != nil {
		return 0, placed(a, s.Object.Key, err)
	}
	return c.rows, c.write(dst, seg)
}

// placed gives damage its place, and errors of the segment format the archive's
// classes.
func placed(a *archive.Archive, key string, err error) error {
	var oe *archive.ObjectError
	switch {
	case errors.As(err, &oe):
		return err
	case errors.Is(err, wal.ErrVersion):
		return fmt.Errorf("index %s in %s: %w: %w", key, a.Store().URL(), archive.ErrVersion, err)
	case errors.Is(err, archive.ErrCorrupt), errors.Is(err, wal.ErrCorrupt), errors.Is(err, wal.ErrMagic):
		return &archive.ObjectError{Store: a.Store().URL(), Key: key, Offset: -1, Reason: "its segment cannot be indexed", Err: err}
	}
	return fmt.Errorf("index %s in %s: %w", key, a.Store().URL(), err)
}

// Missing are the segments of a catalog without an index, one for each content,
// in its order: the copy that is not encrypted, where there is one.
func Missing(c *archive.Catalog) []archive.SegmentEntry {
	have := make(map[archive.IndexKey]bool, len(c.Indexes))
	for _, e := range c.Indexes {
		have[e.IndexKey] = true
	}
	at := make(map[archive.IndexKey]int)
	var out []archive.SegmentEntry
	for _, s := range c.Segments {
		k := s.Index()
		if have[k] {
			continue
		}
		if i, ok := at[k]; !ok {
			at[k] = len(out)
			out = append(out, s)
		} else if out[i].Age.Encrypted() && !s.Age.Encrypted() {
			out[i] = s
		}
	}
	return out
}
