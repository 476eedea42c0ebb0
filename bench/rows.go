package main

import (
	"fmt"
	"regexp"
	"time"
)

// group is a set of rows that share processes. Its function measures the rows
// that want selects.
type group struct {
	rows []string
	run  func(b *bench, want func(name string) bool) ([]Row, error)
}

// groups in the order of the table.
var groups = []group{
	putGroup, logGroup, readGroup, coreGroup, idleGroup,
	archiveGroup, sealGroup, checkpointGroup, recoveryGroup, growthGroup,
}

// measureAll runs the groups that have a wanted row. A group that fails gives
// rows that say so, and the next one runs.
func (b *bench) measureAll(only *regexp.Regexp, done func(Row)) {
	want := func(name string) bool { return only.MatchString(name) }
	for _, g := range groups {
		any := false
		for _, name := range g.rows {
			any = any || want(name)
		}
		if !any {
			continue
		}
		began := time.Now()
		rows, err := g.run(b, want)
		for _, r := range rows {
			done(r)
		}
		if err != nil {
			done(failed(g.rows[0]+" …", goal{Bound: 1}, err))
			b.killAll()
		} else if err := b.dismiss(); err != nil {
			done(failed(g.rows[0]+": stop", goal{Bound: 1}, err))
		}
		spent := time.Since(began)
		b.logf("# %d rows in %.0f s, %.0f s each", len(rows), spent.Seconds(), spent.Seconds()/float64(max(len(rows), 1)))
	}
}

// putGoals are the rows of durable puts by the number of writers.
var putGoals = []struct {
	writers int
	rate    goal
	p99     goal
}{
	{256, atLeast(2), atMost(0.5)},
	{64, atLeast(1.5), atMost(0.5)},
	{8, atLeast(1.1), goal{}},
	{1, atLeast(0.95), goal{}},
}

const (
	putRow     = "durable put, writers: %d"
	putTailRow = "durable put, writers: %d, p99"
	putOpenRow = "durable put, open loop at half of pebble's rate, p99"
	putPeerRow = "durable put, writers: 64, against %s"
)

var putGroup = group{
	rows: func() []string {
		var names []string
		for _, g := range putGoals {
			names = append(names, fmt.Sprintf(putRow, g.writers), fmt.Sprintf(putTailRow, g.writers))
		}
		return append(names, putOpenRow, fmt.Sprintf(putPeerRow, "badger"), fmt.Sprintf(putPeerRow, "bbolt"))
	}(),
	run: runPutGroup,
}

// pebbles are the settings of pebble that are tried.
func (b *bench) pebbles() []candidate {
	if b.quick {
		return candidates("pebble")
	}
	return candidates("pebble", nil, map[string]string{"memtable": "64"})
}

func runPutGroup(b *bench, want func(string) bool) ([]Row, error) {
	keys := b.scale(1_000_000)
	var rows []Row
	for _, g := range putGoals {
		name, tail := fmt.Sprintf(putRow, g.writers), fmt.Sprintf(putTailRow, g.writers)
		if !want(name) && !want(tail) {
			continue
		}
		c := call{Op: "put", Clients: g.writers, Keys: keys}
		peers := b.pebbles()
		if g.writers == 256 {
			peers = append(peers, candidates("goleveldb")...)
		}
		ours, theirs, err := b.putSides(peers, c)
		if err != nil {
			return rows, err
		}
		b.logf("%s: %s against %s", name, ours.label(), theirs.label())
		pairs, err := b.slices(ours, theirs, c)
		if err != nil {
			return rows, err
		}
		rows = append(rows, compare(name, opsPerSecond, g.rate, ours.label(), theirs.label(), pairs))
		rows = append(rows, compare(tail, p99, g.p99, ours.label(), theirs.label(), pairs))
	}
	if want(putOpenRow) {
		row, err := b.openLoopRow(keys)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	for _, peer := range []string{"badger", "bbolt"} {
		name := fmt.Sprintf(putPeerRow, peer)
		if !want(name) {
			continue
		}
		c := call{Op: "put", Clients: 64, Keys: keys}
		ours, theirs, err := b.putSides(candidates(peer), c)
		if err != nil {
			return rows, err
		}
		pairs, err := b.slices(ours, theirs, c)
		if err != nil {
			return rows, err
		}
		rows = append(rows, compare(name, opsPerSecond, goal{}, ours.label(), theirs.label(), pairs))
	}
	return rows, nil
}

// putSides picks the best setting of both sides, warm.
func (b *bench) putSides(peers []candidate, c call) (ours, theirs *process, err error) {
	warm := call{Op: "warm"}
	if ours, err = b.best(candidates("node"), c, warm); err != nil {
		return nil, nil, err
	}
	theirs, err = b.best(peers, c, warm)
	return ours, theirs, err
}

// openLoopRow asks both sides for the same number of puts a second: half of what
// pebble does with 64 closed-loop writers.
func (b *bench) openLoopRow(keys int) (Row, error) {
	c := call{Op: "put", Clients: 64, Keys: keys}
	ours, theirs, err := b.putSides(b.pebbles(), c)
	if err != nil {
		return Row{}, err
	}
	c.Seconds = b.slice
	peak, err := b.quiet(theirs, c, ours, theirs)
	if err != nil {
		return Row{}, err
	}
	c.Rate = peak.rate() / 2
	b.logf("%s: %.0f puts/s", putOpenRow, c.Rate)
	pairs, err := b.slices(ours, theirs, c)
	if err != nil {
		return Row{}, err
	}
	r := compare(putOpenRow, p99, goal{}, ours.label(), theirs.label(), pairs)
	r.Note = fmt.Sprintf("%.0f puts/s due", c.Rate)
	return r, nil
}

const (
	logRow     = "raw log append, 256 waiters"
	logRaftRow = "raw log append, 1 waiter, against raft-wal"
)

var logGroup = group{rows: []string{logRow, logRaftRow}, run: func(b *bench, want func(string) bool) ([]Row, error) {
	var rows []Row
	for _, r := range []struct {
		name    string
		clients int
		peers   []candidate
		goal    goal
	}{
		{logRow, 256, candidates("pebble LogData"), atLeast(2)},
		{logRaftRow, 1, candidates("raft-wal"), goal{}},
	} {
		if !want(r.name) {
			continue
		}
		c, warm := call{Op: "append", Clients: r.clients}, call{Op: "warm"}
		ours, err := b.best(candidates("wal"), c, warm)
		if err != nil {
			return rows, err
		}
		theirs, err := b.best(r.peers, c, warm)
		if err != nil {
			return rows, err
		}
		b.logf("%s: %s against %s", r.name, ours.label(), theirs.label())
		pairs, err := b.slices(ours, theirs, c)
		if err != nil {
			return rows, err
		}
		rows = append(rows, compare(r.name, opsPerSecond, r.goal, ours.label(), theirs.label(), pairs))
	}
	return rows, nil
}}

const readRow = "point read, readers: %d, 1M keys"

var readGroup = group{
	rows: []string{fmt.Sprintf(readRow, 1), fmt.Sprintf(readRow, 16)},
	run: func(b *bench, want func(string) bool) ([]Row, error) {
		keys := b.scale(1_000_000)
		fill := []call{{Op: "load", Keys: keys}, {Op: "compact"}, {Op: "settle"}}
		var rows []Row
		for _, readers := range []int{1, 16} {
			name := fmt.Sprintf(readRow, readers)
			if !want(name) {
				continue
			}
			c := call{Op: "get", Clients: readers, Keys: keys}
			ours, err := b.best(candidates("node"), c, fill...)
			if err != nil {
				return rows, err
			}
			theirs, err := b.best(candidates("pebble"), c, fill...)
			if err != nil {
				return rows, err
			}
			b.logf("%s: %s against %s", name, ours.label(), theirs.label())
			pairs, err := b.slices(ours, theirs, c)
			if err != nil {
				return rows, err
			}
			rows = append(rows, compare(name, opsPerSecond, atLeast(0.95), ours.label(), theirs.label(), pairs))
		}
		return rows, nil
	},
}

const coreRow = "one client through a core and back: p50"

var coreGroup = group{rows: []string{coreRow}, run: func(b *bench, _ func(string) bool) ([]Row, error) {
	c := call{Op: "hop", Clients: 1}
	ours, err := b.best(candidates("core"), c)
	if err != nil {
		return nil, err
	}
	theirs, err := b.best(candidates("parking core"), c)
	if err != nil {
		return nil, err
	}
	pairs, err := b.slices(ours, theirs, c)
	if err != nil {
		return nil, err
	}
	return []Row{compare(coreRow, p50, atMost(1.0/20), ours.label(), theirs.label(), pairs)}, nil
}}
