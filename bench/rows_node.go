package main

import (
	"fmt"
	"time"
)

const (
	idleCPURow    = "idle node: CPU, against 1% of one"
	idleMemoryRow = "idle node: memory, against 64 MiB"
)

var idleGroup = group{rows: []string{idleCPURow, idleMemoryRow}, run: runIdleGroup}

// runIdleGroup looks at a node that holds data, was opened again, and is asked
// for nothing.
func runIdleGroup(b *bench, _ func(string) bool) ([]Row, error) {
	c := candidate{"node", 2, map[string]string{"plain": "yes"}}
	p, err := b.member(c, call{Op: "load", Keys: b.scale(1_000_000)})
	if err != nil {
		return nil, err
	}
	dir := p.dir
	if err := p.stop(); err != nil {
		return nil, err
	}
	delete(b.fleet, c.String())
	if p, _, err = b.open(c, dir); err != nil {
		return nil, err
	}
	b.fleet[c.String()] = p
	limit := func(int) (sample, error) {
		return sample{Elapsed: time.Second, CPU: 10 * time.Millisecond, RSS: 64 << 20}, nil
	}
	pairs, err := abba(b.pairs, func(int) (sample, error) {
		return b.quiet(p, call{Op: "idle", Seconds: 2 * b.slice}, p)
	}, limit)
	if err != nil {
		return nil, err
	}
	cpu := measure{"% of a CPU", func(s sample) float64 { return 100 * s.CPU.Seconds() / s.Elapsed.Seconds() }}
	memory := measure{"MiB", func(s sample) float64 { return float64(s.RSS) / (1 << 20) }}
	return []Row{
		compare(idleCPURow, cpu, atMost(1), p.label(), "limit", pairs),
		compare(idleMemoryRow, memory, atMost(1), p.label(), "limit", pairs),
	}, nil
}

const archiveRow = "archiving on against off, writers: %d"

var archiveGroup = group{
	rows: []string{fmt.Sprintf(archiveRow, 64), fmt.Sprintf(archiveRow, 256)},
	run: func(b *bench, want func(string) bool) ([]Row, error) {
		warm := call{Op: "warm"}
		var rows []Row
		for _, writers := range []int{64, 256} {
			name, g := fmt.Sprintf(archiveRow, writers), atLeast(0.95)
			if !want(name) {
				continue
			}
			c := call{Op: "put", Clients: writers, Keys: b.scale(1_000_000)}
			off, err := b.best(candidates("node"), c, warm)
			if err != nil {
				return rows, err
			}
			dir, err := b.freshDir("store") // each node its own
			if err != nil {
				return rows, err
			}
			on, err := b.member(candidate{"node", off.procs, map[string]string{"archive": dir}}, warm)
			if err != nil {
				return rows, err
			}
			// The lead brings uploads into the slice that began before it, for
			// those that its own segments leave behind.
			c.Seconds, c.Lead = 2.5*b.slice, b.slice
			b.logf("%s", name)
			pairs, err := b.slices(on, off, c)
			if err != nil {
				return rows, err
			}
			rows = append(rows, compare(name, opsPerSecond, g, "node with archive", off.label(), pairs))
		}
		return rows, nil
	},
}

const (
	checkpointRow       = "put p99 during checkpoints against quiet, open loop at half rate"
	checkpointClosedRow = "put p99 during checkpoints against quiet, 64 closed-loop writers"
)

var checkpointGroup = group{rows: []string{checkpointRow, checkpointClosedRow}, run: func(b *bench, want func(string) bool) ([]Row, error) {
	c := call{Op: "put", Clients: 64, Keys: b.scale(1_000_000)}
	p, err := b.best(candidates("node"), c, call{Op: "warm"})
	if err != nil {
		return nil, err
	}
	c.Seconds = b.slice
	peak, err := b.quiet(p, c, p)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, r := range []struct {
		name string
		rate float64
		goal goal
	}{{checkpointRow, peak.rate() / 2, atMost(1.5)}, {checkpointClosedRow, 0, goal{}}} {
		if !want(r.name) {
			continue
		}
		quiet := c
		quiet.Rate = r.rate
		busy := quiet
		busy.Op = "put-checkpoint"
		b.logf("%s: %.0f puts/s", r.name, r.rate)
		pairs, err := b.slices2(p, p, busy, quiet)
		if err != nil {
			return rows, err
		}
		row := compare(r.name, p99, r.goal, p.label()+", checkpoints", p.label(), pairs)
		if r.rate > 0 {
			row.Note = fmt.Sprintf("%.0f puts/s due", r.rate)
		}
		rows = append(rows, row)
	}
	return rows, nil
}}

const growthRow = "put rate kept from 1M to 10M keys, 64 writers"

var growthGroup = group{rows: []string{growthRow}, run: func(b *bench, _ func(string) bool) ([]Row, error) {
	small, large := b.scale(1_000_000), b.scale(10_000_000)
	var sides [4]*process // ours small, ours large, theirs small, theirs large
	var labels [2]string
	for i, all := range [][]candidate{candidates("node"), b.pebbles()} {
		c := call{Op: "put", Clients: 64, Keys: small}
		p, err := b.best(all, c, call{Op: "load", Keys: small}, call{Op: "warm"})
		if err != nil {
			return nil, err
		}
		sides[2*i], labels[i] = p, p.label()
		options := map[string]string{"keys": fmt.Sprint(large)}
		for k, v := range p.options {
			options[k] = v
		}
		big := candidate{p.name, p.procs, options}
		if sides[2*i+1], err = b.member(big, call{Op: "load", Keys: large}, call{Op: "warm", Keys: large}); err != nil {
			return nil, err
		}
	}
	kept := func(small, large *process) func(int) (sample, error) {
		return func(i int) (sample, error) {
			c := call{Op: "put", Clients: 64, Seconds: b.slice, Seed: uint64(i)}
			cs, cl := c, c
			cs.Keys, cl.Keys = b.scale(1_000_000), b.scale(10_000_000)
			pair, err := abba(1, func(int) (sample, error) { return b.quiet(large, cl, sides[:]...) },
				func(int) (sample, error) { return b.quiet(small, cs, sides[:]...) })
			if err != nil {
				return sample{}, err
			}
			s := pair[0].Ours
			s.Kept = s.rate() / pair[0].Theirs.rate()
			return s, nil
		}
	}
	pairs, err := abba(b.pairs, kept(sides[0], sides[1]), kept(sides[2], sides[3]))
	if err != nil {
		return nil, err
	}
	m := measure{"rate kept", func(s sample) float64 { return s.Kept }}
	return []Row{compare(growthRow, m, atLeast(1), labels[0], labels[1], pairs)}, nil
}}
