package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	recoveryRow       = "crash recovery of 1 GiB of log against pebble"
	recoveryMemoryRow = "crash recovery: peak memory at 1 GiB against 256 MiB of log"
	restoreRow        = "restore of 1 GiB of log against replay by one thread"
)

// recoveryBudgetMiB is the node's default of memory for recovery.
const recoveryBudgetMiB = 192

var recoveryGroup = group{rows: []string{recoveryRow, recoveryMemoryRow, restoreRow}, run: runRecoveryGroup}

// image is what a crash left behind.
type image struct {
	dir   string
	store string // directory of the archive
	keys  int
}

func runRecoveryGroup(b *bench, want func(string) bool) ([]Row, error) {
	logBytes := b.scale(1 << 30)
	ours, err := b.nodeImage(logBytes)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(ours.dir)
	var rows []Row
	if want(recoveryRow) {
		row, err := b.recoveryRow(ours)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	if want(recoveryMemoryRow) {
		row, err := b.recoveryMemoryRow(ours, logBytes/4)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	if want(restoreRow) {
		row, err := b.restoreRow(ours)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// nodeImage lets a node write logBytes of log without a checkpoint, all of it
// archived but for the last records, and kills it. What its stores had flushed
// by themselves is thrown away: a recovery has to replay everything.
func (b *bench) nodeImage(logBytes int) (image, error) {
	store, err := b.freshDir("store")
	if err != nil {
		return image{}, err
	}
	b.logf("write %d MiB of log", logBytes>>20)
	p, _, err := b.open(candidate{"node", 4, map[string]string{"hold": "yes", "archive": store}}, "")
	if err != nil {
		return image{}, err
	}
	defer p.kill()
	img := image{dir: p.dir, store: store}
	const step = 100_000
	for size := int64(0); size < int64(logBytes); img.keys += step {
		sam, err := p.call(call{Op: "fill", From: img.keys, Keys: img.keys + step, Clients: 256})
		if err != nil {
			return image{}, err
		}
		size = sam.LogBytes
	}
	if _, err := p.call(call{Op: "archived"}); err != nil {
		return image{}, err
	}
	if _, err := p.call(call{Op: "fill", From: 0, Keys: 1000, Clients: 256}); err != nil {
		return image{}, err
	}
	p.kill()
	return img, os.RemoveAll(filepath.Join(img.dir, "vshard"))
}

// pebbleImage lets pebble write the same puts, none of them flushed, and kills it.
func (b *bench) pebbleImage(keys int) (image, error) {
	b.logf("write %d puts with pebble", keys)
	p, _, err := b.open(candidate{"pebble", 4, map[string]string{"hold": "yes", "memtable": "64"}}, "")
	if err != nil {
		return image{}, err
	}
	defer p.kill()
	for _, part := range [][2]int{{0, keys}, {0, 1000}} {
		if _, err := p.call(call{Op: "fill", From: part[0], Keys: part[1], Clients: 256}); err != nil {
			return image{}, err
		}
	}
	return image{dir: p.dir, keys: keys}, nil
}

// recover opens a copy of img and looks whether the data is there.
func (b *bench) recover(c candidate, img image) (sample, error) {
	dir, err := b.freshDir("copy")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(dir, img.dir); err != nil {
		return sample{}, err
	}
	p, sam, err := b.open(c, dir)
	if err != nil {
		return sample{}, err
	}
	defer p.kill()
	_, err = p.call(call{Op: "get", Clients: 4, Keys: img.keys, Seconds: 0.1})
	return sam, err
}

// fastest tries the candidates once and returns the one that opens in the least time.
func (b *bench) fastest(all []candidate, trial func(candidate) (sample, error)) (candidate, error) {
	best, least := all[0], 0.0
	for _, c := range all {
		sam, err := trial(c)
		if err != nil {
			return best, err
		}
		b.logf("  probe %-36s %6.2f s", c, sam.Elapsed.Seconds())
		if s := sam.Elapsed.Seconds(); least == 0 || s < least {
			best, least = c, s
		}
	}
	return best, nil
}

func (b *bench) recoveryRow(ours image) (Row, error) {
	theirs, err := b.pebbleImage(ours.keys)
	if err != nil {
		return Row{}, err
	}
	defer os.RemoveAll(theirs.dir)
	open := func(img image) func(candidate) (sample, error) {
		return func(c candidate) (sample, error) { return b.recover(c, img) }
	}
	co, err := b.fastest(candidates("node"), open(ours))
	if err != nil {
		return Row{}, err
	}
	ct, err := b.fastest(b.pebbles(), open(theirs))
	if err != nil {
		return Row{}, err
	}
	pairs, err := abba(b.pairs, func(int) (sample, error) { return b.recover(co, ours) },
		func(int) (sample, error) { return b.recover(ct, theirs) })
	if err != nil {
		return Row{}, err
	}
	row := compare(recoveryRow, seconds, atMost(0.6), co.String(), ct.String(), pairs)
	row.Note = fmt.Sprintf("%d puts", ours.keys+1000)
	return row, nil
}

func (b *bench) recoveryMemoryRow(large image, smallBytes int) (Row, error) {
	small, err := b.nodeImage(smallBytes)
	if err != nil {
		return Row{}, err
	}
	defer os.RemoveAll(small.dir)
	// Both logs are larger than the memory that recovery may use, also in a quick
	// run: below it, memory grows with the log and may.
	budget := b.scale(recoveryBudgetMiB)
	c := candidate{"node", 2, map[string]string{"plain": "yes", "budget": fmt.Sprint(budget)}}
	pairs, err := abba(b.pairs, func(int) (sample, error) { return b.recover(c, large) },
		func(int) (sample, error) { return b.recover(c, small) })
	if err != nil {
		return Row{}, err
	}
	row := compare(recoveryMemoryRow, peakMemory, atMost(1.25), c.String(), c.String(), pairs)
	row.Note = fmt.Sprintf("%d MiB of log against %d, with %d MiB for recovery", 4*smallBytes>>20, smallBytes>>20, budget)
	return row, nil
}

func (b *bench) restoreRow(img image) (Row, error) {
	once := func(c candidate) (sample, error) {
		dir, err := b.freshDir(c.side)
		if err != nil {
			return sample{}, err
		}
		defer os.RemoveAll(dir)
		unix.Sync()
		p, sam, err := b.open(c, filepath.Join(dir, "target"))
		if err != nil {
			return sample{}, err
		}
		return sam, p.stop()
	}
	co, err := b.fastest(candidates("restore", map[string]string{"archive": img.store}), once)
	if err != nil {
		return Row{}, err
	}
	ct := candidate{"replay", 1, map[string]string{"log": img.dir}}
	pairs, err := abba(b.pairs, func(int) (sample, error) { return once(co) }, func(int) (sample, error) { return once(ct) })
	if err != nil {
		return Row{}, err
	}
	row := compare(restoreRow, seconds, atMost(0.5), fmt.Sprintf("restore, %d procs", co.procs), "replay, 1 proc", pairs)
	row.Note = "at most half of the time is at least twice as fast; the replay reads plain local segments, the restore fetches and unpacks them"
	return row, nil
}

// copyTree copies the files of src into dst and waits until they are on disk, so
// that writing them back does not fall into what is measured next.
func copyTree(dst, src string) error {
	err := filepath.WalkDir(src, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		return copyFile(to, name)
	})
	unix.Sync()
	if err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	return nil
}

func copyFile(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = out.ReadFrom(in)
	return err
}
