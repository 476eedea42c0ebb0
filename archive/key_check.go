package archive

import (
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// Check compares what a segment of a node says of itself with the name that it was
// stored under. An error is damage; the caller names the object.
func (k SegmentKey) Check(s wal.Segment, nodeID string) error {
	switch {
	case s.NodeID != nodeID:
		return fmt.Errorf("its preamble names node %q, not %q", s.NodeID, nodeID)
	case s.Timeline != k.Timeline || s.Epoch != k.Epoch:
		return fmt.Errorf("its preamble names timeline %d and epoch %d, its name timeline %d and epoch %d",
			uint32(s.Timeline), uint64(s.Epoch), uint32(k.Timeline), uint64(k.Epoch))
	case s.First != k.First || s.Last != k.Last:
		return fmt.Errorf("it holds LSNs %d to %d, its name says %d to %d",
			uint64(s.First), uint64(s.Last), uint64(k.First), uint64(k.Last))
	case Short(s.SHA256) != k.SHA16:
		return fmt.Errorf("its SHA-256 begins with %s, its name says %s", Short(s.SHA256), k.SHA16)
	}
	return nil
}
