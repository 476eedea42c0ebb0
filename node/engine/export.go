package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

// Files describes an export of a vshard: a directory that OpenVShard opens.
type Files struct {
	Applied wal.LSN // of the state in the files
	Time    int64   // of that record, µs since the epoch
	Names   []string
	Bytes   int64
}

// Files links or copies the files of the store into dst, which must not exist. It
// holds what was flushed, never more: to have the state at some LSN in it, flush
// first. The core goes on meanwhile. Tables are hard links where the file system
// has them; they are never changed after they were written.
//
// The caller removes dst; when the call fails it is removed already.
func (v *VShard) Files(ctx context.Context, dst string) (Files, error) {
	ref, err := v.Acquire()
	if err != nil {
		return Files{}, err
	}
	defer ref.Release()
	if err := ctx.Err(); err != nil {
		return Files{}, err
	}
	// Pebble exports an empty manifest as long as it has logged no change since
	// it was opened. Cutting out a range that no engine uses is such a change.
	unused := pebble.KeyRange{Start: []byte{0xff, 0xfe}, End: []byte{0xff, 0xff}}
	if err := v.store.db.Excise(ctx, unused); err != nil {
		return Files{}, fmt.Errorf("export vshard %04x: begin a manifest: %w", v.id, err)
	}
	if err := v.store.db.Checkpoint(dst); err != nil {
		return Files{}, v.Damage(fmt.Errorf("export vshard %04x: %w", v.id, err))
	}
	if err := v.storeErr(); err != nil {
		return Files{}, errors.Join(err, v.shared.opts.FS.RemoveAll(dst))
	}
	f, err := v.describe(dst)
	if err != nil {
		return Files{}, errors.Join(err, v.shared.opts.FS.RemoveAll(dst))
	}
	return f, nil
}

// describe opens the export, which proves that it can be opened, and reads its
// LSN. A flush may have ended while it was made, so nobody else knows it.
func (v *VShard) describe(dst string) (Files, error) {
	fs := v.shared.opts.FS
	var f Files
	opts := v.shared.pebbleOptions(newFence(fs), v.shared.compactions.member())
	opts.Logger = &storeLogger{v: v, s: &store{fence: newFence(fs)}}
	opts.ReadOnly = true
	db, err := pebble.Open(dst, opts)
	if err != nil {
		return f, fmt.Errorf("open export: %w", err)
	}
	f.Applied, f.Time, err = readApplied(db)
	if err := errors.Join(err, db.Close()); err != nil {
		return f, fmt.Errorf("read applied lsn of export: %w", err)
	}
	names, err := fs.List(dst)
	if err != nil {
		return f, err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dst, name))
		if err != nil {
			return f, err
		}
		if info.IsDir() {
			continue
		}
		f.Names = append(f.Names, name)
		f.Bytes += info.Size()
	}
	return f, nil
}
