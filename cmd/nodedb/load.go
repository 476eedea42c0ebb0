package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/loadfmt"
	"github.com/nodedb-go/nodedb/wal"
)

func loadVerb() *cli.Verb {
	return &cli.Verb{
		Name: "load", Category: keysCategory, Usage: "load JSON Lines, TSV or a directory tree",
		Args: "[FILE|DIR|-]", ArgsMax: 1,
		Description: `JSON Lines: {"key":"a","value":"1","ttl":60}; key_b64 and value_b64 carry any
bytes, expires_at an absolute time. TSV: key, tab, value, and perhaps a tab and
a ttl; \t \n \r \\ \xHH are escapes. A directory: its files, path → content.
Without an argument, or with -, standard input is read.

It stops at the first malformed line: what stands before it is loaded, and
nothing behind it. With --skip-bad it goes on. Every loaded entry is durable.
Of a key that comes twice the last one stays.

With --addr each of the --concurrency writers has a connection to a node that runs,
whose log takes their writes together.`,
		Flags: append(writeFlags(append(remoteFlags(),
			&ucli.StringFlag{Name: "format", Value: "auto", Usage: "`auto` (by name, then by first byte), jsonl, tsv or dir"},
			&ucli.BoolFlag{Name: "skip-bad", Usage: "report malformed entries and go on"},
			&ucli.IntFlag{Name: "concurrency", Value: 128, Usage: "`N` writes at a time"},
		)...), tuningFlags()...),
		Run: runLoad,
	}
}

type loadDoc struct {
	Loaded  int64         `json:"loaded"`
	Bytes   int64         `json:"bytes"` // of keys and values
	Bad     int64         `json:"bad"`
	Expired int64         `json:"expired"` // in the input, but past their time
	Skipped int64         `json:"skipped"` // links and special files
	LSN     wal.LSN       `json:"lsn"`     // all of it is at or below
	Took    time.Duration `json:"duration_ns"`
}

func runLoad(c *cli.Call) (err error) {
	if n := c.Int("concurrency"); n < 1 || n > 4096 {
		return cli.Usagef("--concurrency is %d, want 1 to 4096", n)
	}
	in, err := openInput(c)
	if err != nil {
		return err
	}
	defer in.Close()
	writers, done, err := openLoading(c)
	if err != nil {
		return err
	}
	defer done(&err)
	bar := c.Progress().Bar("load", in.total, cli.Bytes)
	l := newLoader(c, writers, in.source, bar)
	doc, err := l.run(c.Context())
	bar.Done()
	if err != nil {
		return cli.Hint(err, "%s entries before it are loaded and durable; loading again from the start does no harm", cli.FormatCount(doc.Loaded))
	}
	return c.Answer(doc, doc.write)
}

func (d *loadDoc) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "loaded %s, %s in %s (%s, %s)\n", cli.Plural(d.Loaded, "entry"), cli.FormatSize(d.Bytes),
		cli.FormatDuration(d.Took), cli.FormatPerSecond(d.Loaded, d.Took), cli.FormatRate(d.Bytes, d.Took))
	for _, more := range []struct {
		n    int64
		text string
	}{{d.Bad, "malformed and passed over"}, {d.Expired, "past their time and passed over"}, {d.Skipped, "links and special files passed over"}} {
		if more.n > 0 && err == nil {
			_, err = fmt.Fprintf(w, "%s %s\n", cli.FormatCount(more.n), more.text)
		}
	}
	return err
}

// input is what load reads.
type input struct {
	source loadfmt.Source
	total  int64 // bytes; 0 when unknown
	file   *os.File
}

func (i *input) Close() error {
	if i.file == nil {
		return nil
	}
	return i.file.Close()
}

func openInput(c *cli.Call) (*input, error) {
	name, format := c.Arg(0), loadfmt.Format(c.String("format"))
	known := []loadfmt.Format{"auto", loadfmt.JSONLines, loadfmt.TSV, loadfmt.Dir}
	if !slices.Contains(known, format) {
		return nil, cli.Usagef("--format is %q, want auto, jsonl, tsv or dir", format)
	}
	if name == "" || name == "-" {
		if name == "" && cli.IsTerminal(c.Stdin) {
			return nil, cli.Hint(cli.Usagef("nothing to load"), "name a file or directory, or pipe JSON Lines in")
		}
		return lineInput(c.Stdin, "-", format)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	if info.IsDir() || format == loadfmt.Dir {
		if format != "auto" && format != loadfmt.Dir {
			return nil, cli.Usagef("%s is a directory, and --format says %s", name, format)
		}
		tree, err := loadfmt.ScanTree(name)
		if err != nil {
			return nil, fmt.Errorf("open input: %w", err)
		}
		return &input{source: tree.Source(), total: tree.Bytes}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	in, err := lineInput(f, name, format)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	in.file, in.total = f, info.Size()
	return in, nil
}

// lineInput finds the format when it is not given: by name, then by content.
func lineInput(r io.Reader, name string, format loadfmt.Format) (*input, error) {
	if format == loadfmt.Dir {
		return nil, cli.Usagef("--format dir needs a directory, not standard input")
	}
	b := bufio.NewReaderSize(r, 1<<16)
	if format == "auto" {
		switch strings.ToLower(filepath.Ext(name)) {
		case ".jsonl", ".ndjson", ".json":
			format = loadfmt.JSONLines
		case ".tsv", ".tab":
			format = loadfmt.TSV
		default:
			format = sniff(b)
		}
	}
	source, err := loadfmt.NewReader(b, name, format)
	if err != nil {
		return nil, err
	}
	return &input{source: source}, nil
}

// sniff tells JSON Lines by their first byte.
func sniff(b *bufio.Reader) loadfmt.Format {
	head, err := b.Peek(512)
	text := strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n")
	if strings.HasPrefix(text, "{") || text == "" && err != nil {
		return loadfmt.JSONLines
	}
	return loadfmt.TSV
}
