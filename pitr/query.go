package pitr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// ErrQueryTooLarge refuses a question whose answer must be held in memory and is
// larger than QueryOptions.MemoryBytes.
var ErrQueryTooLarge = errors.New("pitr: the answer is too large")

// Query answers questions about keys from the archive alone: nothing is restored
// and nothing is written. It may be used by many goroutines.
//
// History is that of one timeline with what it inherited from its parents. What
// an epoch wrote after a later one had begun is no history and is left out, as a
// restore does.
type Query struct {
	src  *sources
	h    *history
	look *lookup
	opts QueryOptions
	ask  *Options // how stores are asked

	indexes indexes
	merged  mergedAnswers
}

// QueryOptions of a query. Nil and the zero value work.
type QueryOptions struct {
	Parallel    int   // segments read at a time; default 4
	MemoryBytes int64 // of keys and values that Diff holds; default 256 MiB
	NoIndex     bool  // read segments whole also for one key
	Restore     Options
}

const queryMemoryDefault = 256 << 20

// NewQuery lists the archives, which belong to one node.
func NewQuery(ctx context.Context, archives []*archive.Archive, o *QueryOptions) (*Query, error) {
	q := &Query{}
	if o != nil {
		q.opts = *o
	}
	setDefault(&q.opts.Parallel, 4)
	setDefault(&q.opts.MemoryBytes, queryMemoryDefault)
	if q.opts.Parallel < 1 || q.opts.Parallel > parallelMax {
		return nil, fmt.Errorf("pitr: %d segments at a time, want 1 to %d", q.opts.Parallel, parallelMax)
	}
	q.ask = q.opts.Restore.withDefaults()
	if err := q.ask.validate(); err != nil {
		return nil, err
	}
	var err error
	if q.src, q.h, err = survey(ctx, archives, archive.SnapshotContents); err != nil {
		return nil, err
	}
	q.look, q.indexes = newLookup(q.src), q.src.indexes()
	return q, nil
}

// Warnings are what a person should know before trusting an answer.
func (q *Query) Warnings() []string { return q.src.warnings() }

// What a Version is. Those of records are kv's.
const (
	OpPut     = kv.ChangePut
	OpDelete  = kv.ChangeDelete
	OpExpire  = kv.ChangeExpire
	OpBase    = "base"    // the oldest that is known: what a base holds
	OpAbsent  = "absent"  // a base does not hold the key
	OpUnknown = "unknown" // no object tells what was written from LSN to To
)

// Version is one change of a key, or what else is known of it.
type Version struct {
	Position
	Tenant   uint32
	Key      []byte
	Op       string
	Type     wal.Type // of the record
	Value    []byte
	ExpireAt int64 // ms since the Unix epoch, 0: never; of an OpExpire: what had to be due

	// Unsure: an OpExpire removed the key if its expiry was due, and what the key
	// held is not known.
	Unsure bool

	Base *Position // OpBase, OpAbsent: the state that tells
	To   wal.LSN   // OpUnknown: last LSN, inclusive

	load func(context.Context) ([]byte, error) // reads Value, of an OpPut that was found lazily
}

// Bound is one end of a Range: an LSN, a time, or neither.
type Bound struct {
	LSN  wal.LSN
	Time time.Time
}

// ParseBound reads an LSN as ParseLSN takes it or a time as ParseTime takes it.
func ParseBound(s string) (b Bound, err error) {
	if looksLikeTime(s) {
		b.Time, err = ParseTime(s)
		return b, err
	}
	b.LSN, err = ParseLSN(s)
	return b, err
}

// Range is a part of a history, both ends inclusive. The zero value is all of
// the newest timeline.
type Range struct {
	Timeline wal.Timeline // history to follow; 0: the newest
	From, To Bound
}

// keyID is a key of a tenant.
type keyID struct {
	tenant uint32
	key    string
}

// unknownStore refuses to call LSNs absent while a store does not answer.
func (q *Query) unknownStore(op string, err error) error {
	if down := q.src.unreachable(); down != nil {
		down.Op, down.Reachable = op, err
		return down
	}
	return err
}

// leaf is the timeline to follow.
func (q *Query) leaf(wanted wal.Timeline) (wal.Timeline, error) {
	r := resolver{h: q.h, look: q.look, target: Target{Latest: true, Timeline: wanted}}
	switch {
	case len(q.h.branches) == 0:
		return 0, r.outside(0, 0, fmt.Sprintf("the archive holds nothing of node %q", q.h.node))
	case wanted == 0:
		return slices.Max(q.h.timelines()), nil
	case q.h.branches[wanted] == nil:
		return 0, r.outside(0, 0, fmt.Sprintf("the archive knows no timeline %d", uint32(wanted)))
	}
	return wanted, nil
}
