package pitr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// segment brings segment i of a replay: downloaded, decompressed, verified,
// decoded. It asks the stores that hold it in turn, several times.
func (s *sources) segment(ctx context.Context, o *Options, d *decoder, i int, ps PlanSegment, m *meter) (*decoded, error) {
	var out *decoded
	err := s.retry(ctx, o, ps.Stores, func(store int) error {
		got, err := s.segmentFrom(ctx, o, d, i, ps, store)
		if err == nil {
			out = got
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fetch segment with LSNs %d to %d: %w", uint64(ps.From), uint64(ps.To), err)
	}
	m.bytes.Add(ps.Bytes)
	return out, nil
}

// retry asks stores in turn: one that does not answer again and again after a
// pause, one whose bytes are wrong once more, because they may have been changed
// on the way.
//
// Of several stores that failed, the error tells every one's last answer.
func (s *sources) retry(ctx context.Context, o *Options, stores []int, ask func(store int) error) error {
	answers := answers{s: s, last: make(map[int]error)}
	left := append([]int(nil), stores...)
	for attempt := 1; len(left) > 0; attempt++ {
		var again []int
		for _, store := range left {
			err := ask(store)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			o.Logger.Warn("fetch failed", "store", s.archives[store].Store().URL(), "attempt", attempt, "err", err)
			answers.add(store, err)
			if archive.Retryable(err) || attempt == 1 && errors.Is(err, archive.ErrCorrupt) {
				again = append(again, store)
			}
		}
		left = again
		if attempt >= o.Attempts || len(left) == 0 {
			break
		}
		if err := pause(ctx, o, attempt); err != nil {
			return err
		}
	}
	return answers.err()
}

// pause waits between attempts: doubling, with full jitter.
func pause(ctx context.Context, o *Options, attempt int) error {
	most := o.BackoffMax
	if shift := attempt - 1; shift < 20 {
		most = min(most, o.BackoffMin<<shift)
	}
	if most <= 0 {
		return nil
	}
	return sleep(ctx, rand.N(most)+1)
}

func (s *sources) segmentFrom(ctx context.Context, o *Options, d *decoder, i int, ps PlanSegment, store int) (*decoded, error) {
	name, err := segmentKey(ps.Key)
	if err != nil {
		return nil, err
	}
	entries := s.entries[store][name.Content().String()]
	if len(entries) == 0 {
		return nil, &archive.StoreError{Op: "read", Store: s.archives[store].Store().URL(), Key: ps.Key, Class: archive.ErrNotFound}
	}
	return firstOf(entries, func(entry archive.SegmentEntry) (*decoded, error) {
		return s.segmentObject(ctx, o, d, i, ps, s.archives[store], store, entry)
	})
}

func (s *sources) segmentObject(ctx context.Context, o *Options, d *decoder, i int, ps PlanSegment, a *archive.Archive, store int, entry archive.SegmentEntry) (*decoded, error) {
	if entry.Packed != nil && (entry.PackedOnly || s.worthIt(o, store, entry.Packed)) {
		out, err := s.fromPack(ctx, o, d, i, ps, store, entry)
		if err == nil || entry.PackedOnly || ctx.Err() != nil {
			return out, err
		}
		o.Logger.Warn("merged segment cannot be read, its own object is asked for", "pack", entry.Packed.Pack.Object.Key, "err", err)
	}
	out, err := s.ownObject(ctx, o, d, i, ps, a, store, entry)
	if err != nil && entry.Packed != nil && !entry.PackedOnly && ctx.Err() == nil {
		if packed, perr := s.fromPack(ctx, o, d, i, ps, store, entry); perr == nil {
			return packed, nil
		}
	}
	return out, err
}

// ownObject decodes a segment from the object that has its name.
func (s *sources) ownObject(ctx context.Context, o *Options, d *decoder, i int, ps PlanSegment, a *archive.Archive, store int, entry archive.SegmentEntry) (*decoded, error) {
	if err := d.budget.take(i, entry.Size); err != nil {
		return nil, err
	}
	defer d.budget.give(entry.Size)
	data, err := download(ctx, o, o.limited(a.Store()), entry.Object)
	if err != nil {
		return nil, err
	}
	plain, err := a.Unseal(ctx, entry.SegmentKey, bytes.NewReader(data))
	if err != nil {
		return nil, s.damage(store, entry.Object.Key, err)
	}
	defer func() { _ = plain.Close() }()
	out, err := d.decode(ctx, i, ps, plain, entry.Object.Key)
	if err != nil {
		return nil, s.damage(store, entry.Object.Key, err)
	}
	return out, nil
}

// download reads a whole object into memory; a stream that waited for the
// decoder might be cut off by the store. A body that is shorter than the listing
// said was cut on the way: what is truncated in the store is listed so.
func download(ctx context.Context, o *Options, st archive.Store, obj archive.Object) ([]byte, error) {
	within, cancel := context.WithTimeout(ctx, o.AttemptTimeout+time.Duration(obj.Size>>20)*time.Second+o.limitDelay(obj.Size))
	defer cancel()
	failed := func(err error) error {
		if ctx.Err() != nil || archive.Retryable(err) {
			return err
		}
		if within.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &archive.StoreError{Op: "read", Store: st.URL(), Key: obj.Key, Class: archive.ErrUnreachable, Err: err}
		}
		return err
	}
	body, err := st.ReadRange(within, obj.Key, 0, -1)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = body.Close() }()
	data := make([]byte, obj.Size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, failed(err)
	}
	var more [1]byte
	if n, _ := io.ReadFull(body, more[:]); n != 0 {
		return nil, &archive.ObjectError{Store: st.URL(), Key: obj.Key, Offset: obj.Size, Reason: "it is longer than the listing said"}
	}
	return data, nil
}

// damage names the object and its store in an error of decoding. Versions and
// record types that are unknown are not damage.
func (s *sources) damage(store int, key string, err error) error {
	url := s.archives[store].Store().URL()
	switch {
	case errors.Is(err, wal.ErrVersion), errors.Is(err, wal.ErrUnknownType), errors.Is(err, archive.ErrVersion):
		return fmt.Errorf("read %s in %s: %w", key, url, err)
	case errors.Is(err, archive.ErrKeyMissing), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	out := &archive.ObjectError{Store: url, Key: key, Offset: -1, Reason: "it is not the segment that its name says"}
	if oe, ok := errors.AsType[*archive.ObjectError](err); ok {
		out.Reason, out.Offset, out.Err = oe.Reason, oe.Offset, oe.Err
		return out
	}
	out.Err = err
	return out
}

// damaged is damage that shows only between two segments.
func (s *sources) damaged(ps PlanSegment, reason string) error {
	url := ""
	if len(ps.Stores) > 0 {
		url = s.archives[ps.Stores[0]].Store().URL()
	}
	return &archive.ObjectError{Store: url, Key: archive.NodePrefix(s.node) + ps.Key, Offset: -1, Reason: reason}
}
