package engine

import (
	"errors"

	"github.com/nodedb-go/nodedb/wal"
)

// Fanout is a Replay of a whole node: it takes the log in order and gives each
// record to the replay of its vshard. Decoding runs on the caller's goroutine,
// sorting and writing of tables on as many others as there are CPUs.
type Fanout struct {
	replays []*Replay
}

// NewFanout starts replays of all vshards; vshards[i] must be vshard i. Options
// are the defaults of each. See Replay for what holds until Finish or Close.
func NewFanout(vshards []*VShard) (*Fanout, error) {
	f := new(Fanout)
	for i, v := range vshards {
		if int(v.ID()) != i {
			return nil, errors.Join(ErrWrongVShard, f.Close())
		}
		r, err := v.NewReplay(nil)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.replays = append(f.replays, r)
	}
	return f, nil
}

// Add takes one record of the log; its memory is free after the call. Records of
// the node itself are skipped, those of a vshard that does not exist are
// ErrWrongVShard.
func (f *Fanout) Add(r *wal.Record) error {
	if r.VShard == wal.VShardNone {
		return nil
	}
	if int(r.VShard) >= len(f.replays) {
		return &RecordError{LSN: r.LSN, Type: r.Type, VShard: r.VShard, Err: ErrWrongVShard}
	}
	return f.replays[r.VShard].Apply(r)
}

// Finish is Replay.Finish of all vshards, in parallel: everything up to last is
// applied and durable. The Fanout is closed after it.
func (f *Fanout) Finish(last wal.LSN, timeMicros int64) error {
	return f.end(func(r *Replay) error { return r.Finish(last, timeMicros) })
}

// Close ends all replays without what was not written yet; see Replay.Close.
func (f *Fanout) Close() error { return f.end((*Replay).Close) }

func (f *Fanout) end(one func(*Replay) error) error {
	errs := make(chan error, len(f.replays))
	for _, r := range f.replays {
		go func() { errs <- one(r) }()
	}
	var all []error
	for range f.replays {
		all = append(all, <-errs)
	}
	f.replays = nil
	return errors.Join(all...)
}
