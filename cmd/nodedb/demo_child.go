package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// demoWriterVerb is the process that the demo kills. It is hidden: demo runs it.
func demoWriterVerb() *cli.Verb {
	return &cli.Verb{
		Name: "demo-writer", Hidden: true, Usage: "the writing half of nodedb demo",
		Flags: []ucli.Flag{
			dirFlag(), cli.ArchiveFlag(),
			&ucli.StringFlag{Name: "source"}, &ucli.IntFlag{Name: "writers"}, &ucli.Uint64Flag{Name: "seed"},
		},
		Run: runDemoWriter,
	}
}

// demoEvent is one line from the writer to the demo. Acknowledgements are
// events of kind "ack"; all others tell what else happened.
type demoEvent struct {
	Kind   string  `json:"k"`
	Writer int     `json:"w,omitempty"`
	Op     int     `json:"n,omitempty"`
	LSN    wal.LSN `json:"l,omitempty"`

	Name       string                 `json:"name,omitempty"`
	Time       time.Time              `json:"time,omitzero"`
	Digest     *node.DigestResult     `json:"digest,omitempty"`
	Checkpoint *node.CheckpointResult `json:"checkpoint,omitempty"`
	Base       *archive.BaseSummary   `json:"base,omitempty"`
	Log        *demoLog               `json:"log,omitempty"`
	Error      string                 `json:"error,omitempty"`
}

// demoLog is where the log stands.
type demoLog struct {
	Written   uint64  `json:"written_bytes"`
	Syncs     uint64  `json:"syncs"`
	OnDisk    int64   `json:"on_disk_bytes"`
	Archived  wal.LSN `json:"archived_lsn"`
	Truncated wal.LSN `json:"truncated_lsn"`
	Durable   wal.LSN `json:"durable_lsn"`
}

// demoOptions are small limits, so that a run of seconds seals, archives,
// checkpoints and truncates many times.
func demoOptions(c *cli.Call) *node.Options {
	return &node.Options{
		Logger: c.Log, NodeID: demoNodeID, SegmentBytes: 4 << 20, ArchiveTimeout: time.Second,
		CheckpointInterval: 2 * time.Second, CheckpointBytes: 64 << 20, MemtableBytes: 8 << 20,
	}
}

// demoWriter writes until it is killed.
type demoWriter struct {
	node   *node.Node
	script *demoScript
	out    *eventWriter
	loaded sync.WaitGroup
	failed context.CancelCauseFunc
}

// runDemoWriter ends only by an error, by SIGKILL, or when its standard input
// closes, which happens when the demo is gone.
func runDemoWriter(c *cli.Call) error {
	script, err := newDemoScript(c.String("source"), c.Int("writers"), c.Uint64("seed"))
	if err != nil {
		return err
	}
	stores, err := c.OpenStores()
	if err != nil {
		return err
	}
	opts := demoOptions(c)
	opts.Stores = stores
	n, err := node.Open(c.String("dir"), opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c.Context())
	go func() {
		_, _ = io.Copy(io.Discard, c.Stdin) // its end is the message
		cancel(errors.New("the demo is gone"))
	}()
	w := &demoWriter{node: n, script: script, out: &eventWriter{w: c.Stdout}, failed: cancel}
	var all sync.WaitGroup
	w.loaded.Add(script.writers)
	for i := range script.writers {
		all.Go(func() { w.check(w.write(ctx, i)) })
	}
	all.Go(func() { w.check(w.control(ctx)) })
	all.Wait()
	return errors.Join(context.Cause(ctx), n.Close(), stores.Close())
}

func (w *demoWriter) check(err error) {
	if err != nil {
		w.failed(err)
		_ = w.out.send(demoEvent{Kind: "error", Error: err.Error()}) // the demo may be gone
	}
}

// write does one writer's operations, one at a time, and acknowledges each
// after the node has.
func (w *demoWriter) write(ctx context.Context, writer int) error {
	db, ops, batch := w.node.Tenant(0), w.script.stream(writer), &node.Batch{}
	load := w.script.loadOps(writer)
	done := sync.OnceFunc(w.loaded.Done)
	defer done()
	for i := 0; ctx.Err() == nil; i++ {
		if i == load {
			done()
			w.loaded.Wait()
		}
		op := ops.next()
		key := []byte(w.script.files[op.file].Path)
		batch.Reset()
		if op.version == 0 {
			batch.Delete(key)
		} else {
			value, err := w.script.content(op)
			if err != nil {
				return err
			}
			batch.Put(key, value)
		}
		lsn, err := db.Apply(ctx, batch, nil)
		if err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		if err := w.out.send(demoEvent{Kind: "ack", Writer: writer, Op: i, LSN: lsn}); err != nil {
			return err
		}
	}
	return nil
}

// control does what else a node's life holds, while the writers go on.
func (w *demoWriter) control(ctx context.Context) error {
	var loaded atomic.Bool
	go func() {
		w.loaded.Wait()
		loaded.Store(true)
	}()
	for !loaded.Load() {
		if err := w.sendLog(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	steps := []func(context.Context, int) error{w.point, w.digest, w.backup, w.checkpoint, w.point, w.digest, w.checkpoint, w.digest}
	for i := 0; ctx.Err() == nil; i++ {
		if err := steps[i%len(steps)](ctx, i); err != nil {
			return err
		}
		if err := w.sendLog(ctx, 150*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (w *demoWriter) point(ctx context.Context, i int) error {
	name := fmt.Sprintf("point-%d", i)
	if i == 0 {
		name = "loaded"
	}
	lsn, at, err := w.node.RestorePoint(ctx, name)
	if err != nil {
		return err
	}
	return w.out.send(demoEvent{Kind: "point", Name: name, LSN: lsn, Time: at})
}

func (w *demoWriter) digest(ctx context.Context, _ int) error {
	d, err := w.node.Digest(ctx)
	if err != nil {
		return err
	}
	return w.out.send(demoEvent{Kind: "digest", LSN: d.LSN, Digest: &d})
}

func (w *demoWriter) backup(ctx context.Context, _ int) error {
	b, err := w.node.Backup(ctx)
	if err != nil {
		return err
	}
	return w.out.send(demoEvent{Kind: "base", LSN: b.LSN, Base: new(b.Summary())})
}

func (w *demoWriter) checkpoint(ctx context.Context, _ int) error {
	r, err := w.node.Checkpoint(ctx)
	if err != nil {
		return err
	}
	return w.out.send(demoEvent{Kind: "checkpoint", LSN: r.Flushed, Checkpoint: &r})
}

// sendLog reports the log's state after a pause.
func (w *demoWriter) sendLog(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil
	}
	s := w.node.Status()
	return w.out.send(demoEvent{Kind: "log", Log: &demoLog{
		Written: s.Log.Stats.Bytes, Syncs: s.Log.Stats.Syncs, OnDisk: s.Log.Bytes,
		Archived: s.Watermarks.Archived, Truncated: s.Watermarks.Truncated, Durable: s.Watermarks.Durable,
	}})
}

// eventWriter writes each event with one system call: what was sent before a
// SIGKILL is in the pipe.
type eventWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

func (e *eventWriter) send(v demoEvent) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.Kind == "ack" {
		e.buf = fmt.Appendf(e.buf[:0], "a %d %d %d\n", v.Writer, v.Op, v.LSN)
	} else {
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		e.buf = append(append(e.buf[:0], line...), '\n')
	}
	_, err := e.w.Write(e.buf)
	return err
}

// parseEvent reads what eventWriter writes.
func parseEvent(line []byte) (demoEvent, error) {
	var v demoEvent
	if len(line) > 0 && line[0] == 'a' {
		v.Kind = "ack"
		_, err := fmt.Sscanf(string(line), "a %d %d %d", &v.Writer, &v.Op, &v.LSN)
		return v, err
	}
	return v, json.Unmarshal(line, &v)
}
