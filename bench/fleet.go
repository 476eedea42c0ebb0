package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// candidate is a side with one setting.
type candidate struct {
	side    string
	procs   int
	options map[string]string
}

// String names the setting: "pebble, 4 procs, memtable 64". Of a path it says
// only what it is for.
func (c candidate) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d procs", c.side, c.procs)
	for _, k := range slices.Sorted(maps.Keys(c.options)) {
		if v := c.options[k]; filepath.IsAbs(v) || v == "yes" {
			fmt.Fprintf(&b, ", %s", k)
		} else {
			fmt.Fprintf(&b, ", %s %s", k, v)
		}
	}
	return b.String()
}

// candidates combines a side with every GOMAXPROCS and every set of options.
func candidates(side string, options ...map[string]string) []candidate {
	if len(options) == 0 {
		options = []map[string]string{nil}
	}
	var all []candidate
	for _, o := range options {
		for _, procs := range []int{2, 4} {
			all = append(all, candidate{side, procs, o})
		}
	}
	return all
}

// bench is one run of this program.
type bench struct {
	dir    string    // on the disk to measure
	log    io.Writer // what is going on
	quick  bool
	pairs  int
	slice  float64 // seconds
	probe  float64 // seconds of a slice that only chooses a setting
	fleet  map[string]*process
	nextID int
	chosen map[string]int // candidate that a probe picked, by what was probed

	profiles string // directory for CPU profiles, empty: none
}

func newBench(dir string, quick bool, log io.Writer) *bench {
	b := &bench{dir: dir, log: log, quick: quick, pairs: 5, slice: 2.5, probe: 0.8, fleet: map[string]*process{}, chosen: map[string]int{}}
	if quick {
		b.pairs, b.slice, b.probe = 3, 0.7, 0.3
	}
	return b
}

// scale is n, or a tenth of it in a quick run.
func (b *bench) scale(n int) int {
	if b.quick {
		return n / 10
	}
	return n
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// freshDir makes a new empty directory.
func (b *bench) freshDir(name string) (string, error) {
	b.nextID++
	dir := filepath.Join(b.dir, fmt.Sprintf("%03d-%s", b.nextID, strings.ReplaceAll(name, " ", "-")))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data directory: %w", err)
	}
	return dir, nil
}

// open starts c on dir; an empty dir means a new one.
func (b *bench) open(c candidate, dir string) (*process, sample, error) {
	if dir == "" {
		var err error
		if dir, err = b.freshDir(c.side); err != nil {
			return nil, sample{}, err
		}
	}
	p, err := start(c.side, c.procs)
	if err != nil {
		return nil, sample{}, err
	}
	p.dir, p.who, p.options = dir, c.String(), c.options
	if strings.HasSuffix(c.side, "core") {
		dir = "" // nothing of it is on disk: flushes are not its own
	}
	sam, err := p.call(call{Op: "open", Dir: dir, Options: c.options})
	if err != nil {
		p.kill()
		return nil, sam, err
	}
	return p, sam, nil
}

// member gives the running process of c, and starts it with the calls of prepare
// when it does not run yet.
func (b *bench) member(c candidate, prepare ...call) (*process, error) {
	if p := b.fleet[c.String()]; p != nil {
		return p, nil
	}
	b.logf("prepare %s", c)
	p, _, err := b.open(c, "")
	if err != nil {
		return nil, err
	}
	b.fleet[c.String()] = p
	for _, next := range prepare {
		if _, err := p.call(next); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// dismiss stops all processes and removes their data.
func (b *bench) dismiss() error {
	var errs []error
	for name, p := range b.fleet {
		errs = append(errs, p.stop(), os.RemoveAll(p.dir))
		delete(b.fleet, name)
	}
	return errors.Join(errs...)
}

// killAll ends what still runs.
func (b *bench) killAll() {
	for name, p := range b.fleet {
		p.kill()
		delete(b.fleet, name)
	}
}

// best tries c with every candidate and returns the one with the highest rate,
// running. What was probed once is not probed again: the same call on the same
// candidates has the same winner, whatever row asks.
func (b *bench) best(all []candidate, c call, prepare ...call) (*process, error) {
	c.Seconds = b.probe
	probed := fmt.Sprint(all, c)
	if _, known := b.chosen[probed]; !known && len(all) > 1 {
		first, err := b.elect(all, c, prepare)
		if err != nil {
			return nil, err
		}
		b.chosen[probed] = first
	}
	return b.member(all[b.chosen[probed]], prepare...)
}

// hopeless is the share of the best rate below which a candidate is not tried a
// second time.
const hopeless = 0.8

// elect tries the candidates forwards, and backwards those that came near the
// best; the higher sum of both rates wins.
func (b *bench) elect(all []candidate, c call, prepare []call) (int, error) {
	rates := make([]float64, len(all))
	try := func(i int) error {
		p, err := b.member(all[i], prepare...)
		if err != nil {
			return err
		}
		c.Seed++
		sam, err := b.quiet(p, c, p)
		rates[i] += sam.rate() / 2
		b.logf("  probe %-36s %9.0f/s", all[i], sam.rate())
		return err
	}
	for i := range all {
		if err := try(i); err != nil {
			return 0, err
		}
	}
	near := hopeless * slices.Max(rates)
	for i := len(all) - 1; i >= 0; i-- {
		if rates[i] < near {
			continue
		}
		if err := try(i); err != nil {
			return 0, err
		}
	}
	return slices.Index(rates, slices.Max(rates)), nil
}

// quiet calls p when it and the others have come to rest.
func (b *bench) quiet(p *process, c call, others ...*process) (sample, error) {
	for _, o := range others {
		for _, op := range []string{"rotate", "settle"} {
			if _, err := o.call(call{Op: op}); err != nil {
				return sample{}, err
			}
		}
	}
	return p.call(c)
}

// pair is two slices, one after the other.
type pair struct{ Ours, Theirs sample }

// abba runs n pairs: ours, theirs, theirs, ours, ours, theirs, …
func abba(n int, ours, theirs func(i int) (sample, error)) ([]pair, error) {
	pairs := make([]pair, n)
	for i := range pairs {
		var errO, errT error
		if i%2 == 0 {
			pairs[i].Ours, errO = ours(i)
			pairs[i].Theirs, errT = theirs(i)
		} else {
			pairs[i].Theirs, errT = theirs(i)
			pairs[i].Ours, errO = ours(i)
		}
		if err := errors.Join(errO, errT); err != nil {
			return nil, fmt.Errorf("pair %s: %w", strconv.Itoa(i+1), err)
		}
	}
	return pairs, nil
}

// slices runs the same call on both sides in alternation.
func (b *bench) slices(ours, theirs *process, c call) ([]pair, error) {
	return b.slices2(ours, theirs, c, c)
}

// slices2 is slices with a call for each side.
func (b *bench) slices2(ours, theirs *process, co, ct call) ([]pair, error) {
	run := func(p *process, c call) func(int) (sample, error) {
		if c.Seconds == 0 {
			c.Seconds = b.slice
		}
		return func(i int) (sample, error) {
			c.Seed = uint64(1000 + i)
			return b.quiet(p, c, ours, theirs)
		}
	}
	pairs, err := abba(b.pairs, run(ours, co), run(theirs, ct))
	if b.profiles != "" && err == nil {
		err = errors.Join(b.profile(ours, co), b.profile(theirs, ct))
	}
	return pairs, err
}

// profile runs one more slice, which does not count, with a CPU profile.
func (b *bench) profile(p *process, c call) error {
	c.Seconds = b.slice
	name := fmt.Sprintf("%s-%d-%s.pprof", c.Op, c.Clients, strings.ReplaceAll(p.label(), ", ", "-"))
	c.Profile = filepath.Join(b.profiles, strings.ReplaceAll(name, " ", "-"))
	_, err := b.quiet(p, c, p)
	return err
}
