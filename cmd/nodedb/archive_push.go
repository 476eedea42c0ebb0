package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func archivePushVerb() *cli.Verb {
	return &cli.Verb{
		Name: "push", Usage: "send what the archive lacks of a node's log, and wait until it is proven there",
		Description: `It opens --dir, or with --admin asks a node that runs, whose admin server then
needs a token. Ctrl-C ends the wait; the node goes on with its uploads.`,
		Flags: writeFlags(askAdminFlags()...), Run: runPush,
	}
}

type pushDoc struct {
	Archived wal.LSN       `json:"archived_lsn"`
	Sent     int64         `json:"waited_bytes"` // of log that the archive lacked
	Took     time.Duration `json:"duration_ns"`
}

func runPush(c *cli.Call) (err error) {
	if yes, err := isAdmin(c); err != nil {
		return err
	} else if yes {
		return pushThere(c)
	}
	began := time.Now()
	s, err := openNode(c, opening{archive: true})
	if errors.Is(err, node.ErrLocked) {
		return cli.Hint(err, "ask the node that has it open: --admin HOST:PORT --admin-token-file FILE, without --dir")
	}
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
	return c.Answer(doc, doc.write)
}

func (d *pushDoc) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "archived up to LSN %d, %s of log in %s\n", d.Archived, cli.FormatSize(d.Sent), cli.FormatDuration(d.Took))
	return err
}

// pushThere lets the node of --admin push, and shows how far it is.
func pushThere(c *cli.Call) error {
	a, err := newAdminClient(c)
	if err != nil {
		return err
	}
	defer a.http.CloseIdleConnections()
	bar := c.Progress().Bar("archive", 0, cli.Bytes)
	defer bar.Done()
	var doc pushDoc
	done := make(chan error, 1)
	go func() { done <- a.ask(c.Context(), http.MethodPost, "/api/push", &doc) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	most := int64(0) // bytes that were seen waiting
	for {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			bar.SetTotal(doc.Sent)
			bar.Set(doc.Sent)
			bar.Done()
			return c.Answer(doc, doc.write)
		case <-tick.C:
			// Only the answer to the push decides, so a look that fails shows nothing.
			if waiting, err := a.waiting(c.Context()); err == nil {
				most = max(most, waiting)
				bar.SetTotal(most)
				bar.Set(most - waiting)
			}
		}
	}
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
