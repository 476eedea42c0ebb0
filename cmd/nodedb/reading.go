package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// standbyWait is how long a verb waits for a follower that applies something.
const standbyWait = 10 * time.Second

// keyReader is what reading verbs ask, of a node or a standby.
type keyReader interface {
	Lookup(ctx context.Context, key []byte) (node.Entry, error)
	Scan(ctx context.Context, o node.ScanOptions) (*node.Scanner, error)
}

// entryLooker is a keyReader, or a node that runs.
type entryLooker interface {
	Lookup(ctx context.Context, key []byte) (node.Entry, error)
}

// entryScan is a scan of a directory, or of a node that runs.
type entryScan interface {
	Next() bool
	Key() []byte
	Value() []byte
	ExpireAt() int64
	EntryLSN() wal.LSN
	LSN() wal.LSN // of the whole, where it is of one
	Cursor() string
	Err() error
	Close() error
}

// openLooking opens --dir for reading, or asks the node of --addr.
func openLooking(c *cli.Call) (entryLooker, func(*error), error) {
	if yes, err := isRemote(c); err != nil || yes {
		return connected[entryLooker](c, err)
	}
	r, err := openReading(c)
	if err != nil {
		return nil, nil, orAsk(c, err)
	}
	return r, r.closeInto, nil
}

// openScan begins a scan of --dir or of the node of --addr, which sends values only
// when they are wanted.
func openScan(c *cli.Call, o node.ScanOptions, values bool) (entryScan, func(*error), error) {
	if yes, err := isRemote(c); err != nil || yes {
		r, done, err := connected[*remote](c, err)
		if err != nil {
			return nil, nil, err
		}
		return r.scan(c.Context(), o, values), done, nil
	}
	r, err := openReading(c)
	if err != nil {
		return nil, nil, orAsk(c, err)
	}
	scan, err := r.Scan(c.Context(), o)
	if err != nil {
		r.closeInto(&err)
		return nil, nil, err
	}
	return scan, func(err *error) {
		if cerr := scan.Close(); *err == nil {
			*err = cerr
		}
		r.closeInto(err)
	}, nil
}

// reading is an open node, or an open standby.
type reading struct {
	keyReader
	standby *node.Standby // nil for a node
	close   func() error
}

// openReading opens the node, or the standby, of --dir for reading.
func openReading(c *cli.Call) (*reading, error) {
	s, err := openNode(c, opening{})
	if err == nil {
		return &reading{keyReader: s.db(), close: s.Close}, nil
	}
	if !errors.Is(err, node.ErrStandby) {
		return nil, err
	}
	sb, err := openStandby(c)
	if err != nil {
		return nil, err
	}
	return &reading{keyReader: sb.Tenant(uint32(c.Uint("tenant"))), standby: sb, close: sb.Close}, nil
}

func openStandby(c *cli.Call) (*node.Standby, error) {
	ctx, cancel := context.WithTimeout(c.Context(), standbyWait)
	defer cancel()
	return node.OpenStandby(ctx, c.String("dir"), &node.Options{Logger: c.Log})
}

// closeInto closes what is read and keeps the first error of the verb.
func (r *reading) closeInto(err *error) {
	if cerr := r.close(); *err == nil && cerr != nil {
		*err = fmt.Errorf("close: %w", cerr)
	}
}
