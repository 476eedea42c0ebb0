package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func walListVerb() *cli.Verb {
	return &cli.Verb{
		Name: "ls", Usage: "list segments", Flags: []ucli.Flag{dirFlag()},
		Description: "Sealed segments are described by their footers, which is quick; the open one is\nread. Works while a node runs.",
		Run: func(c *cli.Call) error {
			dir, _, err := logDir(c)
			if err != nil {
				return err
			}
			segments, err := listSegments(dir)
			if err != nil {
				return err
			}
			doc := struct {
				Segments []segmentView `json:"segments"`
			}{segments}
			return c.Answer(doc, func(w io.Writer) error { return writeSegments(w, segments) })
		},
	}
}

type segmentView struct {
	File      string       `json:"file"`
	State     string       `json:"state"` // sealed, open or unreadable
	First     wal.LSN      `json:"first_lsn"`
	Last      wal.LSN      `json:"last_lsn"`
	Records   uint64       `json:"records"`
	FirstTime string       `json:"first_time,omitempty"`
	LastTime  string       `json:"last_time,omitempty"`
	Timeline  wal.Timeline `json:"timeline"`
	Epoch     wal.Epoch    `json:"epoch"`
	FileBytes int64        `json:"file_bytes"`
	SHA256    string       `json:"sha256_before_footer,omitempty"`
	Points    []wal.Point  `json:"points,omitempty"`
	Problem   string       `json:"problem,omitempty"`
}

func listSegments(dir string) ([]segmentView, error) {
	files, err := segmentFiles(dir)
	if err != nil {
		return nil, err
	}
	out := make([]segmentView, 0, len(files))
	for _, path := range files {
		v, err := viewSegment(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // truncated meanwhile
		}
		if err != nil {
			v.State, v.Problem = "unreadable", err.Error()
		}
		out = append(out, v)
	}
	return out, nil
}

func viewSegment(path string) (segmentView, error) {
	v := segmentView{File: filepath.Base(path)}
	v.First, _ = wal.ParseSegmentName(v.File)
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return v, err
	}
	v.FileBytes = info.Size()
	head := make([]byte, wal.PreambleLen)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return v, err
	}
	p, err := wal.DecodePreamble(head, path)
	if err != nil {
		return v, err
	}
	v.Timeline, v.Epoch = p.Timeline, p.Epoch
	if footer, ok := readFooter(f, p, info.Size(), path); ok {
		v.State = "sealed"
		v.SHA256 = hex.EncodeToString(footer.Sum[:])
		v.fill(footer.Last, footer.Records, footer.FirstTime, footer.LastTime, footer.Points)
		return v, nil
	}
	return v, v.scan(path)
}

// readFooter reads the end of a sealed segment; false when there is none.
func readFooter(f *os.File, p wal.Preamble, size int64, path string) (wal.Footer, bool) {
	trailer := make([]byte, wal.FooterTrailerLen)
	if size < wal.PreambleLen+wal.FooterTrailerLen {
		return wal.Footer{}, false
	}
	if _, err := f.ReadAt(trailer, size-wal.FooterTrailerLen); err != nil {
		return wal.Footer{}, false
	}
	n, err := wal.FooterLen(trailer)
	if err != nil || int64(n) > size {
		return wal.Footer{}, false
	}
	tail := make([]byte, n)
	if _, err := f.ReadAt(tail, size-int64(n)); err != nil {
		return wal.Footer{}, false
	}
	footer, err := wal.DecodeFooter(p, tail, size, path)
	return footer, err == nil
}

// scan reads a segment without a footer at the end of its file: the open one,
// or one that was cut.
func (v *segmentView) scan(path string) error {
	r, err := wal.OpenSegment(vfs.Default, path)
	if err != nil {
		return err
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	s := r.Segment()
	v.State = "open"
	if errors.Is(err, io.EOF) {
		v.State, err = "sealed", nil
	}
	v.fill(s.Last, s.Records, s.FirstTime, s.LastTime, s.Points)
	if !errors.Is(err, wal.ErrCorrupt) { // the open end of a log looks like that
		return err
	}
	return nil
}

func (v *segmentView) fill(last wal.LSN, records uint64, first, end int64, points []wal.Point) {
	v.Last, v.Records, v.Points = last, records, points
	if records > 0 {
		v.FirstTime, v.LastTime = cli.FormatTime(time.UnixMicro(first)), cli.FormatTime(time.UnixMicro(end))
	}
}

func writeSegments(w io.Writer, all []segmentView) error {
	rows := [][]string{{"SEGMENT", "STATE", "FIRST", "LAST", "RECORDS", "SIZE", "TIMELINE", "EPOCH", "FROM", "TO"}}
	for _, v := range all {
		rows = append(rows, []string{v.File, v.State, v.First.String(), v.Last.String(), cli.FormatCount(v.Records),
			cli.FormatSize(v.FileBytes), v.Timeline.String(), v.Epoch.String(), v.FirstTime, v.LastTime})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	for _, v := range all {
		if v.Problem != "" {
			if _, err := fmt.Fprintf(w, "%s: %s\n", v.File, v.Problem); err != nil {
				return err
			}
		}
		for _, p := range v.Points {
			if _, err := fmt.Fprintf(w, "restore point %q is LSN %d at %s\n", p.Name, p.LSN, cli.FormatTime(time.UnixMicro(p.Time))); err != nil {
				return err
			}
		}
	}
	return nil
}
