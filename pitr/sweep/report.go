package sweep

import (
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/pitr"
)

// Report is what a sweep of one node in one store did and found.
type Report struct {
	Store  string    `json:"store"`
	NodeID string    `json:"node_id"`
	At     time.Time `json:"at"`
	// Listed tells that the archive was listed. If not, nothing is known.
	Listed bool `json:"listed"`

	// End is the newest position that can be restored; EndAge how long ago its
	// record was written, or, where only its object can be seen, archived. Of a node
	// that archived nothing yet: how long ago it began.
	End        pitr.Position `json:"end"`
	EndAge     time.Duration `json:"-"`
	EndSeconds float64       `json:"end_age_seconds"`

	Timelines int   `json:"timelines"`
	Epochs    int   `json:"epochs"`
	Segments  int   `json:"segments"`
	Packs     int   `json:"packs"`
	Bases     int   `json:"bases"`
	Contents  int   `json:"contents"`      // of bases
	Bytes     int64 `json:"segment_bytes"` // of live segments, stored

	Foreign   int `json:"foreign"`   // objects; some have a finding each
	Unindexed int `json:"unindexed"` // segments that should have an index and still have none

	Index    *index.Summary     `json:"index,omitempty"`
	Snapshot *Snapshot          `json:"snapshot,omitempty"`
	Verify   *pitr.VerifyReport `json:"verify,omitempty"`
	Drill    *pitr.DrillReport  `json:"drill,omitempty"`

	Findings []Finding     `json:"findings"` // worst first
	Skipped  []Skip        `json:"skipped"`
	Took     time.Duration `json:"took_ns"`

	claims []archive.EpochInfo
}

// Snapshot is a snapshot of the catalog that was written.
type Snapshot struct {
	Key     string `json:"key"`
	Objects int    `json:"objects"`
}

// Skip is a step that was not taken, and why.
type Skip struct {
	Step string `json:"step"`
	Why  string `json:"why"`
}

var severities = []Severity{Problem, Warning, Notice}

// finish puts findings in order.
func (r *Report) finish() {
	slices.SortStableFunc(r.Findings, func(x, y Finding) int {
		return slices.Index(severities, x.Severity) - slices.Index(severities, y.Severity)
	})
	r.EndSeconds = r.EndAge.Seconds()
}

// Attention counts the findings that somebody should look at.
func (r *Report) Attention() int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Severity != Notice {
			n++
		}
	}
	return n
}

// Count counts those of the given kinds.
func (r *Report) Count(kinds ...Kind) int {
	n := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Severity != Notice && slices.Contains(kinds, f.Kind) {
			n++
		}
	}
	return n
}

// exitOrder is which exit code counts of several.
var exitOrder = []int{pitr.ExitCorrupt, pitr.ExitAmbiguous, pitr.ExitGap, pitr.ExitUnreachable, pitr.ExitCold, pitr.ExitError}

// ExitCode is the exit code that the worst of all findings stands for; 0 when
// nothing needs attention.
func ExitCode(reports []*Report) int {
	found := make(map[int]bool)
	for _, r := range reports {
		for i := range r.Findings {
			found[r.Findings[i].exit()] = true // 0 for a notice, and one of exitOrder else
		}
	}
	for _, code := range exitOrder {
		if found[code] {
			return code
		}
	}
	return pitr.ExitDone
}

// skip notes a step that was not taken.
func (r *Report) skip(step, why string) { r.Skipped = append(r.Skipped, Skip{step, why}) }
