package cli

import (
	"bufio"
	"encoding/json"
	"fmt"

	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// RecordWriter prints records as a stream: lines for people, or with --json one
// array that is written record by record, so a long range needs no memory.
type RecordWriter struct {
	call *Call
	out  *bufio.Writer
	n    int
}

// NewRecordWriter prints to standard output; Close or Fail ends it.
func (c *Call) NewRecordWriter() *RecordWriter {
	return &RecordWriter{call: c, out: bufio.NewWriterSize(c.Stdout, 1<<16)}
}

// Write prints one record.
func (w *RecordWriter) Write(r *wal.Record) error {
	v := ViewRecord(r)
	return w.WriteRow(&v, v.Line())
}

// WriteRow prints anything that comes row by row: doc with --json, else line.
func (w *RecordWriter) WriteRow(doc any, line string) error {
	w.n++
	if !w.call.JSON {
		_, err := fmt.Fprintln(w.out, line)
		return err
	}
	sep := ",\n"
	if w.n == 1 {
		sep = "[\n"
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = w.out.WriteString(sep + string(b))
	return err
}

// Close ends the stream.
func (w *RecordWriter) Close() error {
	if w.call.JSON {
		w.call.s.answered = true
		end := "\n]\n"
		if w.n == 0 {
			end = "[]\n"
		}
		if _, err := w.out.WriteString(end); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// Fail ends a stream that could not be finished, and returns err. What was
// printed stays; with --json the array is left open, so that nobody takes it
// for the whole.
func (w *RecordWriter) Fail(err error) error {
	if w.n > 0 {
		w.call.s.answered = w.call.JSON
		_ = w.out.Flush() // err says what matters
	}
	return err
}

// LSNRange reads --from-lsn and --to-lsn, both inclusive.
func (c *Call) LSNRange() (from, to wal.LSN, err error) {
	to = ^wal.LSN(0)
	if s := c.String("from-lsn"); s != "" {
		if from, err = pitr.ParseLSN(s); err != nil {
			return 0, 0, err
		}
	}
	if s := c.String("to-lsn"); s != "" {
		if to, err = pitr.ParseLSN(s); err != nil {
			return 0, 0, err
		}
	}
	if from > to {
		return 0, 0, Usagef("--from-lsn %d is above --to-lsn %d", from, to)
	}
	return from, to, nil
}
