package main

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func walDumpVerb() *cli.Verb {
	return &cli.Verb{
		Name: "dump", Usage: "print records, decoded",
		Flags: []ucli.Flag{
			dirFlag(),
			&ucli.StringFlag{Name: "from-lsn", Usage: "first `LSN` (default: the oldest)"},
			&ucli.StringFlag{Name: "to-lsn", Usage: "last `LSN` (default: the newest)"},
		},
		Description: "Works while a node runs: it ends where the log ended then.",
		Run:         runDump,
	}
}

func runDump(c *cli.Call) error {
	dir, _, err := logDir(c)
	if err != nil {
		return err
	}
	from, to, err := c.LSNRange()
	if err != nil {
		return err
	}
	files, err := segmentFiles(dir)
	if err != nil {
		return err
	}
	out := c.NewRecordWriter()
	for i, path := range files {
		if i+1 < len(files) {
			if next, _ := wal.ParseSegmentName(files[i+1]); next != 0 && next <= from {
				continue
			}
		}
		done, err := dumpSegment(c, out, path, from, to, i == len(files)-1)
		if err != nil {
			return out.Fail(err)
		}
		if done {
			break
		}
	}
	return out.Close()
}

// dumpSegment prints one segment; done when the range has ended. In the last
// one an unreadable place is where the log ends, as far as this reader can say.
func dumpSegment(c *cli.Call, out *cli.RecordWriter, path string, from, to wal.LSN, last bool) (done bool, err error) {
	r, err := wal.OpenSegment(vfs.Default, path)
	if err != nil {
		return false, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil && last && errors.Is(err, wal.ErrCorrupt):
			c.Log.Info("the log ends here; nodedb wal verify tells whether that is damage", "after", r.Segment().Last, "reason", err)
			return true, nil
		case err != nil:
			return false, err
		case rec.LSN > to:
			return true, nil
		case rec.LSN < from:
			continue
		}
		if err := c.Context().Err(); err != nil {
			return false, err
		}
		if err := out.Write(&rec); err != nil {
			return false, err
		}
	}
}
