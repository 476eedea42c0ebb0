package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// Frozen is a store as its files are: it is only read, and nothing in its
// directory changes. Unlike a VShard it reads no table before somebody asks for
// a key in it, so the files of a base can be read where they are.
type Frozen struct {
	db      *pebble.DB
	reader  snapshotReader
	applied wal.LSN
}

// OpenFrozen opens the store of a vshard in dir. Errors are those of OpenVShard.
func OpenFrozen(fs vfs.FS, dir string, id uint16) (*Frozen, error) {
	o := &pebble.Options{
		FS: fs, ReadOnly: true, DisableTableStats: true, FormatMajorVersion: pebble.FormatNewest,
		Logger: silent{},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		if newerStore(fs, dir) {
			return nil, fmt.Errorf("open store %s: %w: %w", dir, ErrNewerFormat, err)
		}
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	f := &Frozen{db: db, reader: snapshotReader{view: &view{}, snap: db.NewSnapshot()}}
	if err := checkIdentity(db, dir, id); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.applied, _, err = readApplied(db)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read applied lsn of %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// Applied is the LSN that the store goes up to.
func (f *Frozen) Applied() wal.LSN { return f.applied }

// Reader reads the store.
func (f *Frozen) Reader() Reader { return &f.reader }

// Close ends all reading; exactly once.
func (f *Frozen) Close() error { return errors.Join(f.reader.snap.Close(), f.db.Close()) }

// silent hides what Pebble would print: every error comes back to the caller.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, args ...any) {
	panic(fmt.Sprintf("engine: store of files that are only read: "+f, args...))
}
