package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// spillFilePrefix starts the names of tables that are being written. Pebble does
// not know them until it has linked them under names of its own.
const spillFilePrefix = "spill."

// keysPerYield and comparesPerYield are how much a spill works before it lets
// others run: with few processors, the cores and the clients would otherwise
// wait for a whole slice of the scheduler, which is 10 ms.
const (
	keysPerYield     = 64
	comparesPerYield = 2048
)

// ingestFront writes the first limit operations of a front and the mark as one
// table, and makes it part of the store: all of it in one atomic, durable step.
func (v *VShard) ingestFront(f *front, limit uint32, m mark, name string) error {
	return v.ingest(name, func(w *sstable.Writer) error {
		// The applied LSN has the lowest of all keys that engines may use.
		if err := w.Set(keyApplied, m.encode()); err != nil {
			return err
		}
		if err := w.Set(keyIdentity, v.identity()); err != nil {
			return err
		}
		return v.writeOps(f, limit, w)
	})
}

// ingest writes one table and makes it part of the store. On an error nothing of
// it is, unless the store stopped.
func (v *VShard) ingest(name string, write func(*sstable.Writer) error) error {
	path := v.store.fence.PathJoin(v.dir, name)
	if err := v.writeTable(path, write); err != nil {
		return v.ingestError(fmt.Errorf("write table: %w", err), path)
	}
	// Crash here: the table is a file that no manifest names. The next open
	// removes it, and the same records are applied again.
	if err := v.store.db.Ingest(context.Background(), []string{path}); err != nil {
		return v.ingestError(fmt.Errorf("ingest table: %w", err), path)
	}
	return v.storeErr()
}

func (v *VShard) ingestError(err error, path string) error {
	if broken := v.storeErr(); broken != nil {
		return broken
	}
	return errors.Join(v.Damage(err), removeIfThere(v.store.fence, path))
}

func (v *VShard) writeTable(path string, write func(*sstable.Writer) error) error {
	f, err := v.store.fence.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// Written back in steps: one large sync at the end would hold up the log's.
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: bytesPerSync})
	w := sstable.NewWriter(newTableFile(f), v.store.opts.MakeWriterOptions(0, v.store.db.TableFormat()))
	if err := write(w); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close() // syncs
}

// writeOps writes what is left of each key after its operations among the first
// limit.
func (v *VShard) writeOps(f *front, limit uint32, w *sstable.Writer) error {
	list := f.sort(0, limit, f.commonPrefix(limit))
	for from, n := 0, 0; from < len(list); n++ {
		if n%keysPerYield == 0 {
			runtime.Gosched()
		}
		to := from + 1
		for to < len(list) && f.compare(&list[from], &list[to]) == 0 {
			to++
		}
		last := f.op(list[to-1].i)
		key := f.key(last)
		if last.kind == opDeleteIf {
			var err error
			if last, err = v.resolve(f, key, list[from:to]); err != nil {
				return err
			}
		}
		from = to
		if last == nil {
			continue
		}
		var err error
		if last.kind == opSet {
			err = w.Set(key, f.value(last))
		} else {
			err = w.Delete(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolve finds out what conditional deletes at the end of a key's operations
// come to. nil: the key stays as it is in the store.
func (v *VShard) resolve(f *front, key []byte, list []sortKey) (*op, error) {
	var state *op // newest certain operation; nil: the tables decide
	for _, k := range list {
		o := f.op(k.i)
		switch {
		case o.kind != opDeleteIf:
			state = o
		case state == nil:
			hit, err := v.matches(key, f.match[o.valLen])
			if err != nil {
				return nil, err
			}
			if hit {
				state = &op{kind: opDelete}
			}
		case state.kind == opSet && f.match[o.valLen](f.value(state)):
			state = &op{kind: opDelete}
		}
	}
	return state, nil
}

func (v *VShard) matches(key []byte, match func([]byte) bool) (bool, error) {
	value, closer, err := v.store.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hit := match(value)
	return hit, closer.Close()
}

// tableFile is the writable of a table: a file with a large buffer, so that a
// table costs a write per 256 KiB and not one per block.
type tableFile struct {
	file vfs.File
	buf  []byte
}

const tableBufferBytes = 256 << 10

func newTableFile(f vfs.File) *tableFile {
	return &tableFile{file: f, buf: make([]byte, 0, tableBufferBytes)}
}

// Write is part of objstorage.Writable.
func (t *tableFile) Write(p []byte) error {
	for len(t.buf)+len(p) > cap(t.buf) {
		n := cap(t.buf) - len(t.buf)
		t.buf = append(t.buf, p[:n]...)
		p = p[n:]
		if err := t.flush(); err != nil {
			return err
		}
	}
	t.buf = append(t.buf, p...)
	return nil
}

func (t *tableFile) flush() error {
	_, err := t.file.Write(t.buf)
	t.buf = t.buf[:0]
	return err
}

// Finish is part of objstorage.Writable.
func (t *tableFile) Finish() error {
	err := t.flush()
	if err == nil {
		err = t.file.Sync()
	}
	return errors.Join(err, t.file.Close())
}

// Abort is part of objstorage.Writable.
func (t *tableFile) Abort() { _ = t.file.Close() }

func removeIfThere(fs vfs.FS, path string) error {
	if err := fs.Remove(path); err != nil && !errors.Is(err, errNotExist) {
		return err
	}
	return nil
}
