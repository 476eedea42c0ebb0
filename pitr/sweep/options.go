package sweep

import (
	"time"

	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr"
)

// Options of a sweep. Nil and the zero value find, index, and write snapshots;
// they verify nothing and drill nothing.
type Options struct {
	// StaleAfter is for how long nothing new may come; 0: for ever.
	StaleAfter time.Duration

	NoIndex bool           // leave segments without an index
	Index   *index.Options // default: changes of the kv engine, and encrypted segments left out

	NoSnapshot bool
	// A snapshot of the catalog is due when SnapshotNames names (default 500) came
	// since the last, or when any came and it is SnapshotAge old (default a day).
	SnapshotNames int
	SnapshotAge   time.Duration

	// VerifyBytes and VerifyTime are the budget of verification; both 0: there is
	// none. It is spent again when the last ledger is VerifyEvery old. What was
	// verified within VerifyOlderThan is left out.
	VerifyBytes     int64
	VerifyTime      time.Duration
	VerifyEvery     time.Duration
	VerifyOlderThan time.Duration

	// DrillBytes is how much a restore to the newest position may fetch for the node
	// to be small enough for a drill; 0: no drill. There is one when the last proof
	// is DrillEvery old, in a directory below DrillDir.
	DrillBytes int64
	DrillEvery time.Duration
	DrillDir   string
	Seed       uint64 // draws the LSN of the drill
	Restore    pitr.Options

	// Until is when no step, and no object of a step, is begun any more; zero: never.
	Until time.Time

	Tool  string // program and version, for ledgers and proofs
	Host  string
	Clock func() time.Time
	// Progress is called as a step goes on, from several goroutines.
	Progress func(step string, done, total int64)
}

// snapshotNames is half a page of a listing, of the size that a reader lists again
// in any case.
const (
	snapshotNames = 500
	snapshotAge   = 24 * time.Hour
)

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Index == nil {
		d.Index = &index.Options{Decode: kv.Changes}
	}
	if d.SnapshotNames == 0 {
		d.SnapshotNames = snapshotNames
	}
	if d.SnapshotAge == 0 {
		d.SnapshotAge = snapshotAge
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Progress == nil {
		d.Progress = func(string, int64, int64) {}
	}
	return d
}
