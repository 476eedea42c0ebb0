package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// keyWriter is a tenant of an open node, or a node that runs.
type keyWriter interface {
	Put(ctx context.Context, key, value []byte, o *node.WriteOptions) (wal.LSN, error)
	PutIfAbsent(ctx context.Context, key, value []byte, o *node.WriteOptions) (bool, error)
	Delete(ctx context.Context, key []byte, o *node.WriteOptions) (bool, error)
	Increment(ctx context.Context, key []byte, delta int64, o *node.WriteOptions) (int64, error)
}

// caretaker is an open node, or one that runs.
type caretaker interface {
	Checkpoint(ctx context.Context) (node.CheckpointResult, error)
	Backup(ctx context.Context) (archive.BaseInfo, error)
	RestorePoint(ctx context.Context, name string) (wal.LSN, time.Time, error)
	Digest(ctx context.Context) (node.DigestResult, error)
}

// openWriting opens --dir, or asks the node of --addr. The returned function ends
// that, and keeps the first error of the verb.
func openWriting(c *cli.Call, o opening) (keyWriter, func(*error), error) {
	if yes, err := isRemote(c); err != nil || yes {
		return connected[keyWriter](c, err)
	}
	s, err := openNode(c, o)
	if err != nil {
		return nil, nil, orAsk(c, err)
	}
	return s.db(), s.closeInto, nil
}

// openCaring is openWriting for what concerns the node as a whole.
func openCaring(c *cli.Call, o opening) (caretaker, func(*error), error) {
	if yes, err := isRemote(c); err != nil || yes {
		return connected[caretaker](c, err)
	}
	s, err := openNode(c, o)
	if err != nil {
		return nil, nil, orAsk(c, err)
	}
	return s, s.closeInto, nil
}

// connected is the node of --addr as what a verb needs; before is an error that
// came before.
func connected[T any](c *cli.Call, before error) (as T, _ func(*error), _ error) {
	if before != nil {
		return as, nil, before
	}
	r, err := dial(c)
	if err != nil {
		return as, nil, err
	}
	return any(r).(T), closing(r), nil
}

// closing closes connections at the end of a verb, and keeps its first error.
func closing(conns ...*remote) func(*error) {
	return func(err *error) {
		for _, r := range conns {
			if cerr := r.Close(); *err == nil && cerr != nil {
				*err = fmt.Errorf("close connection: %w", cerr)
			}
		}
	}
}
