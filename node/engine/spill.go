package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ingestRun sorts a run, writes it as a table and makes it part of the store, in
// one atomic step.
func (v *VShard) ingestRun(r *run, name string) error {
	path := v.store.fence.PathJoin(v.dir, name)
	if err := v.writeRun(r, path); err != nil {
		return v.runError(fmt.Errorf("write table of replay: %w", err))
	}
	// Crash here: the table is a file that no manifest names. The next open
	// removes it, and the same records are applied again.
	if err := v.store.db.Ingest(context.Background(), []string{path}); err != nil {
		return v.runError(fmt.Errorf("ingest table of replay: %w", err))
	}
	return v.storeErr()
}

func (v *VShard) runError(err error) error {
	if broken := v.storeErr(); broken != nil {
		return broken
	}
	return v.Damage(err)
}

func (v *VShard) writeRun(r *run, path string) error {
	f, err := v.store.fence.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), v.store.opts.MakeWriterOptions(0, v.store.db.TableFormat()))
	if err := v.writeOps(r, w); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close() // syncs
}

// writeOps writes what is left of each key after all its operations.
func (v *VShard) writeOps(r *run, w *sstable.Writer) error {
	order := r.sorted()
	for from := 0; from < len(order); {
		first := &r.ops[order[from].i]
		key := r.key(first)
		to := from + 1
		for to < len(order) && order[to].hi == order[from].hi && order[to].lo == order[from].lo &&
			bytes.Equal(r.key(&r.ops[order[to].i]), key) {
			to++
		}
		last := &r.ops[order[to-1].i]
		if last.kind == opDeleteIf {
			var err error
			if last, err = v.resolve(r, key, order[from:to]); err != nil {
				return err
			}
		}
		from = to
		if last == nil {
			continue
		}
		var err error
		if last.kind == opSet {
			err = w.Set(key, r.value(last))
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
func (v *VShard) resolve(r *run, key []byte, order []sortKey) (*runOp, error) {
	var state *runOp // newest certain operation; nil: the store decides
	for _, o := range order {
		op := &r.ops[o.i]
		switch {
		case op.kind != opDeleteIf:
			state = op
		case state == nil:
			hit, err := v.matches(key, r.match[op.valLen])
			if err != nil {
				return nil, err
			}
			if hit {
				state = &runOp{off: op.off, keyLen: op.keyLen, kind: opDelete}
			}
		case state.kind == opSet && r.match[op.valLen](r.value(state)):
			state = &runOp{off: op.off, keyLen: op.keyLen, kind: opDelete}
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
	defer closer.Close()
	return match(value), nil
}
