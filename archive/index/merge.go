package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
)

// MergeOptions of Merge. Nil and the zero value work.
type MergeOptions struct {
	TargetBytes int64  // of the indexes that become one; default 256 MiB
	MinIndexes  int    // fewer of a day, or of the day that goes on, are left; default 8
	Dir         string // for temporary files, a few times what is merged; default that of the system
	FS          vfs.FS // that Dir is in; default the operating system's
	DryRun      bool   // say what would be done
	Clock       func() time.Time
	Logger      *slog.Logger          // default discards
	Progress    func(done, total int) // indexes; must not block
}

// MergeReport is what a merge did, or would do.
type MergeReport struct {
	NodeID   string    `json:"node_id"`
	Store    string    `json:"store"`
	DryRun   bool      `json:"dry_run"`
	Indexes  int       `json:"merged_indexes"`
	Bytes    int64     `json:"merged_bytes"` // of their objects
	New      int       `json:"new_indexes"`
	NewBytes int64     `json:"new_bytes"`
	Rows     int       `json:"rows"`
	Keys     []string  `json:"keys"`    // of the new objects; empty in a dry run
	Existed  int       `json:"existed"` // made by somebody else meanwhile
	Problems []Problem `json:"problems"`
}

func (o *MergeOptions) withDefaults() (MergeOptions, error) {
	var d MergeOptions
	if o != nil {
		d = *o
	}
	if d.TargetBytes == 0 {
		d.TargetBytes = 256 << 20
	}
	if d.MinIndexes == 0 {
		d.MinIndexes = 8
	}
	if d.Dir == "" {
		d.Dir = os.TempDir()
	}
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Progress == nil {
		d.Progress = func(int, int) {}
	}
	if d.TargetBytes < 1 || d.MinIndexes < 2 || d.MinIndexes > mergeInputsMax {
		return d, fmt.Errorf("index: merge options out of range: target %d (at least 1), indexes %d (2 to %d)", d.TargetBytes, d.MinIndexes, mergeInputsMax)
	}
	return d, nil
}

// Merge makes one index of the many that a day has, so that a question about one
// key asks one object. The indexes of segments stay, and go with their segments.
//
// A merged index is a function of the indexes that it has: two at once make the same
// object. One that was cut off leaves none; run it again. An index that is not right
// is in the report's problems and is left out, the rest is done; its segment is
// still asked by itself. Errors are the store's and of temporary files.
func Merge(ctx context.Context, a *archive.Archive, opts *MergeOptions) (*MergeReport, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &merger{MergeOptions: o, a: a,
		report: &MergeReport{NodeID: a.NodeID(), Store: a.Store().URL(), DryRun: o.DryRun, Keys: []string{}, Problems: []Problem{}}}
	c, err := a.Catalog(ctx)
	if err != nil {
		return m.report, err
	}
	plans := planMerges(c, &o, o.Clock())
	for _, p := range plans {
		m.total += len(p)
	}
	for _, p := range plans {
		if err := m.merge(ctx, p); err != nil {
			return m.report, err
		}
	}
	return m.report, nil
}

type merger struct {
	MergeOptions
	a           *archive.Archive
	report      *MergeReport
	done, total int
}

// merge makes one object. Crash here: temporary files that the system removes, and
// nothing in the archive.
func (m *merger) merge(ctx context.Context, inputs []archive.IndexEntry) (err error) {
	m.Progress(m.done, m.total)
	defer func() {
		m.done += len(inputs)
		m.Progress(m.done, m.total)
	}()
	if m.DryRun {
		m.made(inputs, 0)
		return nil
	}
	if there, err := m.there(ctx, inputs); there || err != nil {
		return err
	}
	dir := m.FS.PathJoin(m.Dir, "nodedb-merge-"+rand.Text())
	if err := m.FS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a directory for temporary files: %w", err)
	}
	defer func() { err = errors.Join(err, m.FS.RemoveAll(dir)) }()
	s, err := newSpool(m.FS, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	inputs, err = m.spool(ctx, s, inputs)
	if err != nil || len(inputs) < 2 {
		return err
	}
	return m.create(ctx, s, inputs, m.FS.PathJoin(dir, "merged"))
}

func mergedOf(inputs []archive.IndexEntry) (archive.MergedKey, []byte) {
	keys := make([]archive.IndexKey, len(inputs))
	for i := range inputs {
		keys[i] = inputs[i].IndexKey
	}
	return archive.MergedOf(keys)
}

// there tells whether somebody has made it meanwhile.
func (m *merger) there(ctx context.Context, inputs []archive.IndexEntry) (bool, error) {
	k, _ := mergedOf(inputs)
	_, err := m.a.Store().Stat(ctx, m.a.Key(k))
	if err == nil {
		m.report.Existed++
		return true, nil
	}
	if errors.Is(err, archive.ErrNotFound) {
		err = nil
	}
	return false, err
}

// spool reads all inputs, and gives those that are right.
func (m *merger) spool(ctx context.Context, s *spool, inputs []archive.IndexEntry) (right []archive.IndexEntry, err error) {
	for _, e := range inputs {
		err := s.add(ctx, m.a, e)
		switch {
		case err == nil:
			right = append(right, e)
		case errors.Is(err, archive.ErrNotFound): // pruned since
		case ctx.Err() != nil, !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrVersion):
			return nil, err
		default:
			m.Logger.Warn("index is not merged", "index", e.Object.Key, "err", err)
			m.report.Problems = append(m.report.Problems, Problem{Key: e.Object.Key, Reason: err.Error()})
		}
	}
	return right, s.flush()
}

func (m *merger) create(ctx context.Context, s *spool, inputs []archive.IndexEntry, name string) (err error) {
	f, err := m.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	k, list := mergedOf(inputs)
	out := &countingWriter{w: f}
	rows, err := s.merge(ctx, out, mergedOptions(m.a.NodeID(), k, list, s.from, s.to))
	if err != nil {
		return err
	}
	err = m.a.Store().Create(ctx, m.a.Key(k), f, out.n)
	if errors.Is(err, archive.ErrExists) {
		m.report.Existed++
		return nil
	}
	if err != nil {
		return fmt.Errorf("create merged index: %w", err)
	}
	m.made(inputs, out.n)
	m.report.Keys = append(m.report.Keys, m.a.Key(k))
	m.report.Rows += rows
	return nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (m *merger) made(inputs []archive.IndexEntry, size int64) {
	m.report.New++
	m.report.NewBytes += size
	m.report.Indexes += len(inputs)
	for _, e := range inputs {
		m.report.Bytes += e.Size
	}
}
