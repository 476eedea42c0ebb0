package archive

import "github.com/nodedb-go/nodedb/wal"

// packPlan is one pack that is to be made: live segments of one timeline that
// follow each other without a hole.
type packPlan struct {
	timeline wal.Timeline
	segments []SegmentEntry
	sealed   int64 // bytes of their objects
}

// planPacks says what a compaction will merge. It looks at names and sizes
// only. The newest live segment of a timeline stays by itself: who claims the
// archive looks for it.
func planPacks(segments []SegmentEntry, o *CompactOptions) []packPlan {
	newest := make(map[wal.Timeline]wal.LSN)
	for _, s := range segments {
		if !s.Dead() {
			newest[s.Timeline] = max(newest[s.Timeline], s.Last)
		}
	}
	var out []packPlan
	var run packPlan
	flush := func() {
		if len(run.segments) >= o.MinObjects {
			out = append(out, run)
		}
		run = packPlan{}
	}
	for _, s := range segments {
		n := len(run.segments)
		if n > 0 && (s.Timeline != run.timeline || s.First != run.segments[n-1].Last+1 ||
			run.sealed+s.Size > o.TargetBytes || n == packSegmentsMax) {
			flush()
		}
		whole := s.From == s.First && s.To == s.Last
		if s.Packed != nil || s.Age.Encrypted() || !whole || s.Size > o.MaxBytes || s.Last == newest[s.Timeline] {
			continue
		}
		run.timeline = s.Timeline
		run.segments = append(run.segments, s)
		run.sealed += s.Size
	}
	flush()
	return out
}
