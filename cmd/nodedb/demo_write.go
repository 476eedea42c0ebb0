package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

// demoPatience bounds the wait for everything that must happen before the kill.
const demoPatience = 3 * time.Minute

// demoEvents is what the writer told, besides acknowledgements.
type demoEvents struct {
	points      []demoEvent
	digests     []node.DigestResult
	bases       []demoEvent
	checkpoints []node.CheckpointResult
	log         demoLog
	logPeak     int64 // most bytes of log on disk

	loadEnd, lastAck time.Time
	acks, loadAcks   int
	removed          int64 // bytes of log truncated while writing
}

// write runs the writer until all that the demo shows has happened, and kills it.
func (d *demo) write(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "demo-writer", "--dir", d.path("node"), "--archive", d.archiveURL(), "--source", d.script.root,
		"--writers", strconv.Itoa(d.script.writers), "--seed", strconv.FormatUint(d.script.seed, 10))
	cmd.Env = append(os.Environ(), "NODEDB_JSON=false", "NODEDB_CONFIG=", "NODEDB_PROGRESS=none", "NODEDB_NODE_ID=")
	cmd.Stderr = d.call.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo alone
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer stdin.Close() // its end stops a writer that nobody killed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the writer: %w", err)
	}
	lines := make(chan demoEvent, 1024)
	readErr := make(chan error, 1)
	go func() { readErr <- readEvents(stdout, lines) }()
	err = d.follow(ctx, lines)
	d.report.Kill.SinceAck = time.Since(d.events.lastAck)
	killErr := cmd.Process.Kill()
	for e := range lines { // what was in the pipe
		err = errors.Join(err, d.take(e))
	}
	err = errors.Join(err, <-readErr)
	waitErr := cmd.Wait()
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the writer ended by itself: %w", errors.Join(waitErr, killErr))
	}
	d.sumUpWriting(began)
	return nil
}

// readEvents feeds lines until the pipe ends. A last line without its end was
// torn by the kill and says nothing.
func readEvents(r io.Reader, to chan<- demoEvent) error {
	defer close(to)
	b := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := b.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read from the writer: %w", err)
		}
		e, err := parseEvent(line)
		if err != nil {
			return fmt.Errorf("the writer wrote %.80q: %w", line, err)
		}
		to <- e
	}
}

// follow takes events until the time has come to kill.
func (d *demo) follow(ctx context.Context, events <-chan demoEvent) error {
	load := d.call.Progress().Bar("load", int64(len(d.script.files)), cli.Items)
	churn := d.call.Progress().Bar("overwrite, remove", 0, cli.Items)
	defer churn.Done()
	defer load.Done()
	patience := time.NewTimer(demoPatience)
	defer patience.Stop()
	var kill <-chan time.Time
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil // it ended by itself: the wait status tells
			}
			if err := d.take(e); err != nil {
				return err
			}
			load.Set(int64(d.events.loadAcks))
			churn.Set(int64(d.events.acks - d.events.loadAcks))
			if kill == nil && d.ready() {
				// In the middle of whatever the writers do by then.
				kill = time.After(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
			}
		case <-kill:
			return nil
		case <-patience.C:
			return fmt.Errorf("after %s the writer has not yet done all that the demo shows: %d digests, %d points, %d bases, %d checkpoints, log truncated up to LSN %d",
				demoPatience, len(d.events.digests), len(d.events.points), len(d.events.bases), len(d.events.checkpoints), d.events.log.Truncated)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take notes one event.
func (d *demo) take(e demoEvent) error {
	v := &d.events
	switch e.Kind {
	case "ack":
		if err := d.model.ack(e); err != nil {
			return err
		}
		v.acks++
		v.lastAck = time.Now()
		if e.Op < d.script.loadOps(e.Writer) {
			if v.loadAcks++; v.loadAcks == len(d.script.files) {
				v.loadEnd = v.lastAck
			}
		}
	case "point":
		v.points = append(v.points, e)
	case "digest":
		v.digests = append(v.digests, *e.Digest)
	case "base":
		v.bases = append(v.bases, e)
	case "checkpoint":
		v.checkpoints = append(v.checkpoints, *e.Checkpoint)
		v.removed += e.Checkpoint.RemovedBytes
	case "log":
		v.log = *e.Log
		v.logPeak = max(v.logPeak, e.Log.OnDisk)
	case "error":
		return errors.New(e.Error)
	default:
		return fmt.Errorf("the writer sent an event of unknown kind %q", e.Kind)
	}
	return nil
}

// ready says whether everything has happened that the demo wants to show, with
// a digest behind the base and every operation up to it acknowledged.
func (d *demo) ready() bool {
	v := &d.events
	if v.loadEnd.IsZero() || len(v.bases) == 0 || len(v.points) < 2 || len(v.digests) < 3 || v.log.Truncated == 0 {
		return false
	}
	last := v.digests[len(v.digests)-1].LSN
	return last > v.bases[0].LSN && last <= d.model.complete() && time.Since(v.loadEnd) > time.Second
}

func (d *demo) sumUpWriting(began time.Time) {
	v, r := &d.events, &d.report
	r.Load = d.rate(v.loadEnd.Sub(began), func(w, op int) bool { return op < d.script.loadOps(w) })
	r.Churn = d.rate(v.lastAck.Sub(v.loadEnd), func(w, op int) bool { return op >= d.script.loadOps(w) })
	r.Checkpoints, r.Bases, r.Points, r.Digests = len(v.checkpoints), len(v.bases), len(v.points), len(v.digests)
	r.Log = v.log
	r.LogPeak, r.Kill.Acked = v.logPeak, v.acks
	if v.log.Truncated > v.log.Archived {
		d.problem("the log was truncated up to LSN %d, but archived only up to %d", v.log.Truncated, v.log.Archived)
	}
	for _, c := range v.checkpoints {
		if c.Truncated > c.Archived {
			d.problem("a checkpoint truncated up to LSN %d with only %d archived", c.Truncated, c.Archived)
		}
	}
}

// rate counts the acknowledged operations that are wanted.
func (d *demo) rate(took time.Duration, want func(writer, op int) bool) demoRate {
	r := demoRate{Took: took}
	for w, lsns := range d.model.lsns {
		ops := d.script.stream(w)
		for i := range lsns {
			op := ops.next()
			if !want(w, i) {
				continue
			}
			r.Writes++
			if op.version == 0 {
				r.Removes++
			} else {
				r.Bytes += d.script.files[op.file].Size + int64(len(d.script.suffix(op)))
			}
		}
	}
	return r
}
