package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/durable"
	"github.com/nodedb-go/nodedb/internal/loadfmt"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func exportVerb() *cli.Verb {
	return &cli.Verb{
		Name: "export", Category: keysCategory, Usage: "write all keys as JSON Lines, sorted, as of one LSN",
		Args: "[PREFIX]", ArgsMax: 1,
		Description: "nodedb load reads it back exactly. With --output the file appears when it is\ncomplete and on disk, not before.\n\nWith --addr a node that runs is asked, which holds that moment for a minute from\npage to page.",
		Flags:       readFlags(append(remoteFlags(), &ucli.StringFlag{Name: "output", Usage: "write to `FILE` instead of standard output"}, base64Flag())...),
		Run:         runExport,
	}
}

type exportDoc struct {
	Output  string        `json:"output"`
	LSN     wal.LSN       `json:"lsn"`
	Entries int64         `json:"entries"`
	Bytes   int64         `json:"bytes"`
	Took    time.Duration `json:"duration_ns"`
}

func runExport(c *cli.Call) (err error) {
	path := c.String("output")
	if c.JSON && (path == "" || path == "-") {
		return cli.Hint(cli.Usagef("export writes JSON Lines to standard output, where --json wants its one document"), "name a file with --output")
	}
	prefix, err := keyArg(c, 0)
	if err != nil {
		return err
	}
	scan, done, err := openScan(c, node.ScanOptions{Prefix: prefix, Consistent: true}, true)
	if err != nil {
		return err
	}
	defer done(&err)
	doc := exportDoc{Output: path}
	if path == "" || path == "-" {
		return doc.write(c, scan, c.Stdout)
	}
	err = createFile(path, func(w io.Writer) error { return doc.write(c, scan, w) })
	if err != nil {
		return err
	}
	return c.Answer(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "exported %s, %s to %s in %s, as of LSN %d\n", cli.Plural(doc.Entries, "entry"),
			cli.FormatSize(doc.Bytes), path, cli.FormatDuration(doc.Took), doc.LSN)
		return err
	})
}

func (d *exportDoc) write(c *cli.Call, scan entryScan, to io.Writer) error {
	began := time.Now()
	progress := func(int64) {}
	if !cli.IsTerminal(to) { // a bar would tear what is read there
		bar := c.Progress().Bar("export", 0, cli.Bytes)
		defer bar.Done()
		progress = bar.Set
	}
	w := loadfmt.NewWriter(to)
	for c.Context().Err() == nil && scan.Next() {
		e := loadfmt.Entry{Key: scan.Key(), Value: scan.Value(), ExpireAt: loadfmt.ExpireAtMillis(scan.ExpireAt())}
		if err := w.Write(e); err != nil {
			return err
		}
		progress(w.Bytes())
	}
	if err := firstError(c.Context().Err(), scan.Err(), w.Flush()); err != nil {
		return err
	}
	d.LSN = scan.LSN()
	d.Entries, d.Bytes, d.Took = w.Count(), w.Bytes(), time.Since(began)
	return nil
}

// createFile writes a file beside its name and renames it when it is on disk.
func createFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// Crash here: the whole file is there under its temporary name.
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return durable.SyncDir(vfs.Default, filepath.Dir(path))
}
