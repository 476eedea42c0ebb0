package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

func scanVerb() *cli.Verb {
	return &cli.Verb{
		Name: "scan", Category: keysCategory, Usage: "print keys in order",
		Args: "[PREFIX]", ArgsMax: 1,
		Description: "One key a line, quoted as Go does; with --values a tab and the value behind it.\nFor data that is to be read back use export.",
		Flags: readFlags(append(remoteFlags(),
			&ucli.StringFlag{Name: "from", Usage: "first `KEY`"},
			&ucli.StringFlag{Name: "to", Usage: "end before `KEY`"},
			&ucli.IntFlag{Name: "limit", Value: 1000, Usage: "`N` keys at most; 0: all"},
			&ucli.StringFlag{Name: "cursor", Usage: "go on behind a `CURSOR` that an earlier scan printed"},
			&ucli.BoolFlag{Name: "reverse", Usage: "from the last key to the first"},
			&ucli.BoolFlag{Name: "values", Usage: "print values too"},
			base64Flag(),
		)...),
		Run: runScan,
	}
}

type scanDoc struct {
	Entries []entryView `json:"entries"`
	Cursor  string      `json:"cursor,omitempty"` // there may be more behind it
}

func runScan(c *cli.Call) (err error) {
	o := node.ScanOptions{Limit: c.Int("limit"), Reverse: c.Bool("reverse"), Cursor: c.String("cursor")}
	if o.Limit < 0 {
		return cli.Usagef("--limit is %d, want 0 or more", o.Limit)
	}
	if o.Prefix, err = keyArg(c, 0); err != nil {
		return err
	}
	if o.From, err = keyFlag(c, "from"); err != nil {
		return err
	}
	if o.To, err = keyFlag(c, "to"); err != nil {
		return err
	}
	scan, done, err := openScan(c, o, c.Bool("values"))
	if err != nil {
		return err
	}
	defer done(&err)
	if c.JSON {
		return scanJSON(c, scan, o.Limit)
	}
	return scanText(c, scan, o.Limit)
}

func keyFlag(c *cli.Call, name string) ([]byte, error) {
	s := c.String(name)
	if s == "" {
		return nil, nil
	}
	if !c.Bool("base64") {
		return []byte(s), nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, cli.Usagef("--%s %q is not base64: %w", name, s, err)
	}
	return b, nil
}

// scanJSON keeps the whole answer in memory: --limit bounds it.
func scanJSON(c *cli.Call, scan entryScan, limit int) error {
	doc := scanDoc{Entries: []entryView{}}
	for c.Context().Err() == nil && scan.Next() {
		doc.Entries = append(doc.Entries, viewEntry(scan.Key(), scan.Value(), scan.ExpireAt(), scan.EntryLSN(), c.Bool("values")))
	}
	if err := firstError(c.Context().Err(), scan.Err()); err != nil {
		return err
	}
	if limit > 0 && len(doc.Entries) == limit {
		doc.Cursor = scan.Cursor()
	}
	return c.Answer(doc, nothing)
}

func scanText(c *cli.Call, scan entryScan, limit int) error {
	out := bufio.NewWriterSize(c.Stdout, 1<<16)
	n := 0
	for c.Context().Err() == nil && scan.Next() {
		n++
		if err := scanLine(out, scan.Key(), scan.Value(), c.Bool("values")); err != nil {
			return err
		}
	}
	if err := firstError(c.Context().Err(), scan.Err(), out.Flush()); err != nil {
		return err
	}
	if limit > 0 && n == limit {
		c.Notef("stopped at --limit %d, perhaps there are more: --cursor %s goes on", limit, scan.Cursor())
	}
	return nil
}

func scanLine(w io.Writer, key, value []byte, withValue bool) error {
	line := strconv.Quote(string(key))
	if withValue {
		if utf8.Valid(value) {
			line += "\t" + strconv.Quote(string(value))
		} else {
			line += fmt.Sprintf("\t%d bytes, base64 %s", len(value), base64.StdEncoding.EncodeToString(value))
		}
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
