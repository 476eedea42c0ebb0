package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// FindTime gives the last LSN of the window whose time is not after t, and
// that record's time. Times never go back within a timeline, so a binary
// search reads the ends of a few segments, and then the one segment that holds
// the answer. ErrNotFound when every record of the window is later than t.
func (a *Archive) FindTime(ctx context.Context, w Window, t time.Time) (wal.LSN, time.Time, error) {
	us := t.UnixMicro()
	infos := make(map[int]SegmentInfo)
	info := func(i int) (SegmentInfo, error) {
		if got, ok := infos[i]; ok {
			return got, nil
		}
		got, err := a.SegmentInfo(ctx, w.Segments[i])
		infos[i] = got
		return got, err
	}
	// Segments below lo begin at or before t, those from hi on begin after it.
	lo, hi := 0, len(w.Segments)
	for lo < hi {
		mid := (lo + hi) / 2
		i, err := info(mid)
		if err != nil {
			return 0, time.Time{}, err
		}
		if i.Footer.FirstTime <= us {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	// A segment that is cut at its front may begin at or before t without
	// giving the window such a record; then the answer is the end of the one
	// before.
	for n := lo - 1; n >= 0; n-- {
		lsn, at, err := a.lastUpTo(ctx, w.Segments[n], infos[n], us)
		if err != nil || lsn != 0 {
			return lsn, at, err
		}
	}
	return 0, time.Time{}, fmt.Errorf("find %s in LSNs %d to %d of timeline %d: %w",
		t.UTC().Format(time.RFC3339Nano), w.From, w.To, w.Timeline, ErrNotFound)
}

// lastUpTo is the last record of s, within its window, that is not later than
// us; LSN 0 when there is none.
func (a *Archive) lastUpTo(ctx context.Context, s SegmentEntry, i SegmentInfo, us int64) (wal.LSN, time.Time, error) {
	if i.Footer.LastTime <= us && s.To == s.Last {
		return s.To, time.UnixMicro(i.Footer.LastTime).UTC(), nil
	}
	body, err := a.OpenSegment(ctx, s)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer func() { _ = body.Close() }()
	r := wal.NewSegmentReader(body, s.Object.Key)
	var lsn wal.LSN
	var at int64
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) || err == nil && (rec.Time > us || rec.LSN > s.To) {
			break
		}
		if err != nil {
			return 0, time.Time{}, a.segmentErr(s.Object.Key, err)
		}
		if rec.LSN >= s.From {
			lsn, at = rec.LSN, rec.Time
		}
	}
	if lsn == 0 {
		return 0, time.Time{}, nil
	}
	return lsn, time.UnixMicro(at).UTC(), nil
}

// FoundPoint is a restore point and the timeline that it is on.
type FoundPoint struct {
	Timeline wal.Timeline
	wal.Point
}

// Points reads the restore points of all windows from the ends of their
// segments, a bounded number at a time, in the order of the windows. An empty
// name gives all of them. The same name may be there more than once; which
// one is meant is the caller's question to its user.
func (a *Archive) Points(ctx context.Context, windows []Window, name string) ([]FoundPoint, error) {
	var all []SegmentEntry
	for _, w := range windows {
		all = append(all, w.Segments...)
	}
	points := make([][]wal.Point, len(all))
	err := forEach(ctx, len(all), func(ctx context.Context, i int) error {
		if b := all[i].Bounds; b != nil {
			points[i] = b.Points
			return nil
		}
		info, err := a.SegmentInfo(ctx, all[i])
		points[i] = info.Footer.Points
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find restore points: %w", err)
	}
	var out []FoundPoint
	for i, s := range all {
		for _, p := range points[i] {
			if (name == "" || p.Name == name) && p.LSN >= s.From && p.LSN <= s.To {
				out = append(out, FoundPoint{Timeline: s.Timeline, Point: p})
			}
		}
	}
	return out, nil
}
