package pitr

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/archive/retain"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// openSweep appends a sweep of another pruner that has not ended.
func (s *agedStore) openSweep(t *testing.T) {
	t.Helper()
	log, err := archive.ReadPruneLog(t.Context(), s, kitNode)
	check(t, err)
	check(t, archive.AppendPrune(t.Context(), s, archive.PruneRecord{NodeID: kitNode, Seq: log.Next(), Kind: archive.PruneSweep,
		ID: strings.Repeat("0f", 16), At: s.now}))
}

// Nobody deletes while the sweep of another may still be under way; an hour
// later, by the store's clock, it surely is not.
func TestPruneMeetsOpenSweep(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration // of our clock, before the store's
	}{
		{"clocks agree", 0},
		{"our clock is ahead", 2 * archive.PruneSweepOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k, bases := agedKit(t, t.Context())
			prune := func() (*retain.Report, error) {
				return retain.Run(k.ctx, k.archives(), retain.Options{Policy: retain.Policy{Last: 2}, Grace: testGrace, Apply: true,
					Clock: func() time.Time { return s.clock().Add(c.ahead) }})
			}
			_, err := prune()
			check(t, err)
			s.pass(testGrace)
			s.openSweep(t)
			before := s.all()
			if _, err := prune(); !errors.Is(err, retain.ErrBusy) {
				t.Errorf("beside an open sweep: %v, want ErrBusy", err)
			}
			if !slices.Equal(s.all(), before) {
				t.Errorf("deleted beside an open sweep: %d objects of %d are left", len(s.all()), len(before))
			}
			s.pass(archive.PruneSweepOver)
			_, err = prune()
			check(t, err)
			if len(s.keys("base/")) != 2 {
				t.Errorf("an hour later: left %v", s.keys("base/"))
			}
			k.mustRestore(Target{LSN: bases[2]}, nil)
		})
	}
}

// Of catalog snapshots and ledgers the newest few stay, and the number of the
// newest is not given again.
func TestPruneSuperseded(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	for range 7 {
		_, _, err := archive.WriteSnapshot(t.Context(), k.arch, &archive.SnapshotOptions{NamesOnly: true, Clock: s.clock})
		check(t, err)
	}
	before := s.keys("catalog/")
	for range 2 {
		_, err := s.prune(k, retain.Policy{Last: 4}, true)
		check(t, err)
		s.pass(testGrace)
	}
	if got := s.keys("catalog/"); len(before) != 7 || !slices.Equal(got, before[3:]) {
		t.Errorf("left %v of %v", got, before)
	}
	key, _, err := archive.WriteSnapshot(t.Context(), k.arch, &archive.SnapshotOptions{NamesOnly: true, Clock: s.clock})
	if err != nil || key.Seq != 8 {
		t.Errorf("next snapshot: %v, %v", key, err)
	}
}

// The index of a segment goes when the segment is gone, and not before.
func TestPruneIndexes(t *testing.T) {
	s, k, _ := agedKit(t, t.Context())
	c, err := k.arch.Catalog(t.Context())
	check(t, err)
	for _, e := range c.Segments {
		_, err := index.Build(t.Context(), k.arch, e, &index.Options{Decode: kv.Changes})
		check(t, err)
	}
	before := len(s.keys("index/"))
	for range 4 {
		_, err := s.prune(k, retain.Policy{Last: 2}, true)
		check(t, err)
		s.pass(testGrace)
	}
	c, err = k.arch.Catalog(t.Context())
	check(t, err)
	var want []string
	for _, e := range c.Segments {
		want = append(want, k.arch.Key(e.Index()))
	}
	if got := s.keys("index/"); !slices.Equal(got, want) || len(got) == before {
		t.Errorf("of %d indexes left\n%v, want\n%v", before, got, want)
	}
}
