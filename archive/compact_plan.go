package archive

import "github.com/nodedb-go/nodedb/wal"

// packPlan is one pack that is to be made: live segments of one timeline that
// follow each other without a hole.
type packPlan struct {
	timeline   wal.Timeline
	segments   []SegmentEntry
	sealed     int64       // bytes of their objects
	recipients *Recipients // nil: the segments are not encrypted
}

// planPacks says what a compaction will merge, and how many segments it leaves
// for lack of recipients. It looks at names and sizes only. The newest live
// segment of a timeline stays by itself: who claims the archive looks for it.
func planPacks(segments []SegmentEntry, o *CompactOptions) (plans []packPlan, left int) {
	newest := make(map[wal.Timeline]wal.LSN)
	for _, s := range segments {
		if !s.Dead() {
			newest[s.Timeline] = max(newest[s.Timeline], s.Last)
		}
	}
	var plain, own []SegmentEntry
	for _, s := range segments {
		whole := s.From == s.First && s.To == s.Last
		if s.Packed != nil || !whole || s.Size > o.MaxBytes || s.Last == newest[s.Timeline] {
			continue
		}
		switch s.Age.Recipients {
		case RecipientsID{}:
			plain = append(plain, s)
		case o.Recipients.ID():
			if n := len(own); n == 0 || own[n-1].Content() != s.Content() { // else an attempt that was repeated
				own = append(own, s)
			}
		default:
			left++
		}
	}
	return append(planRuns(plain, o, nil), planRuns(own, o, o.Recipients)...), left
}

// planRuns cuts segments for the same readers into packs.
func planRuns(segments []SegmentEntry, o *CompactOptions, r *Recipients) []packPlan {
	var out []packPlan
	run := packPlan{recipients: r}
	flush := func() {
		if len(run.segments) >= o.MinObjects {
			out = append(out, run)
		}
		run = packPlan{recipients: r}
	}
	for _, s := range segments {
		n := len(run.segments)
		if n > 0 && (s.Timeline != run.timeline || s.First != run.segments[n-1].Last+1 ||
			run.sealed+s.Size > o.TargetBytes || n == packSegmentsMax) {
			flush()
		}
		run.timeline = s.Timeline
		run.segments = append(run.segments, s)
		run.sealed += s.Size
	}
	flush()
	return out
}
