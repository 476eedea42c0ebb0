package node

import "time"

// ArchiveLag is what is durable here and not yet in every required store: what a
// lost disk would take with it.
type ArchiveLag struct {
	LSNs  uint64    `json:"lsns"`
	Bytes int64     `json:"bytes"`          // of the log segments that hold them
	Since time.Time `json:"since,omitzero"` // no record of them is older; zero without a lag
}

// archiveLag looks at whole segments: the archive takes them whole, or not at all.
func (n *Node) archiveLag(m Watermarks) ArchiveLag {
	if m.Archived >= m.Durable {
		return ArchiveLag{}
	}
	lag := ArchiveLag{LSNs: uint64(m.Durable - m.Archived)}
	segments := n.log.Segments()
	for i := range segments {
		s := &segments[i]
		if s.Records == 0 || s.Last <= m.Archived {
			continue
		}
		lag.Bytes += s.Bytes
		if at := time.UnixMicro(s.FirstTime).UTC(); lag.Since.IsZero() || at.Before(lag.Since) {
			lag.Since = at
		}
	}
	return lag
}

// Age is how old the oldest record of the lag is, 0 without one.
func (l *ArchiveLag) Age(now time.Time) time.Duration {
	if l == nil || l.Since.IsZero() {
		return 0
	}
	return max(now.Sub(l.Since), 0)
}
