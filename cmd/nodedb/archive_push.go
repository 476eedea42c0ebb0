package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func archivePushVerb() *cli.Verb {
	return &cli.Verb{
		Name: "push", Usage: "send what the archive lacks of a node's log, and wait until it is proven there",
		Flags: writeFlags(), Run: runPush,
	}
}

type pushDoc struct {
	Archived wal.LSN       `json:"archived_lsn"`
	Sent     int64         `json:"waited_bytes"` // of log that the archive lacked
	Took     time.Duration `json:"duration_ns"`
}

func runPush(c *cli.Call) (err error) {
	began := time.Now()
	s, err := openNode(c, opening{archive: true})
	if err != nil {
		return err
	}
	defer s.closeInto(&err)
	if len(s.stores) == 0 {
		return node.ErrNoArchive
	}
	var doc pushDoc
	if doc.Archived, doc.Sent, err = s.drainArchive(c.Context()); err != nil {
		return fmt.Errorf("archive the log up to LSN %d: %w", doc.Archived, err)
	}
	doc.Took = time.Since(began)
	return c.Answer(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "archived up to LSN %d, %s of log in %s\n", doc.Archived, cli.FormatSize(doc.Sent), cli.FormatDuration(doc.Took))
		return err
	})
}

// drainArchive seals the log and waits until every required store has it, with
// a bar. It returns the LSN that it waited for and how much log waited.
func (s *session) drainArchive(ctx context.Context) (wal.LSN, int64, error) {
	lsn, err := s.Seal(ctx)
	if err != nil {
		return lsn, 0, err
	}
	waiting := s.Status().Archive.WaitingBytes
	bar := s.call.Progress().Bar("archive", waiting, cli.Bytes)
	defer bar.Done()
	done := make(chan error, 1)
	go func() { done <- s.WaitArchived(ctx, lsn) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				bar.Set(waiting)
			}
			return lsn, waiting, err
		case <-tick.C:
			bar.Set(max(0, waiting-s.Status().Archive.WaitingBytes))
		}
	}
}
