package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func serveVerb() *cli.Verb {
	return &cli.Verb{
		Name: "serve", Category: nodeCategory, Usage: "run the node in the foreground for Redis clients: checkpoints, archiving, expiry", LogLevel: "info",
		Description: `It stops at SIGINT or SIGTERM: a last checkpoint, then the log's tail goes to
the archive, with progress. A second signal ends it at once, which loses nothing
that was acknowledged. SIGHUP reads certificates, users, password and the configuration
file's log level again. Redis clients are served on this machine only, unless --addr
says otherwise: then it wants --users, --password-file or --open; give --tls-cert too.`,
		Flags: slices.Concat([]ucli.Flag{dirFlag()}, listenFlags(), adminFlags(), traceFlags(), archiveFlags(), tuningFlags(), []ucli.Flag{
			&ucli.DurationFlag{Name: "drain-timeout", Value: time.Minute, Usage: "how long the stop waits for checkpoint and archive"}}),
		Run: runServe,
	}
}

type serveDoc struct {
	NodeID       string        `json:"node_id"`
	Ran          time.Duration `json:"ran_ns"`
	Drained      time.Duration `json:"drained_ns"`
	Durable      wal.LSN       `json:"durable_lsn"`
	Checkpointed wal.LSN       `json:"checkpointed_lsn"`
	Archived     wal.LSN       `json:"archived_lsn"`
}

func runServe(c *cli.Call) (err error) {
	began := time.Now()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	certs, err := loadCertificates(c)
	if err != nil {
		return err
	}
	users, err := loadUsers(c)
	if err != nil {
		return err
	}
	tracer, err := openTracer(c)
	if err != nil {
		return err
	}
	defer endTracer(c, tracer)
	o := opening{create: true, archive: true, tuning: true, tracer: tracer}
	dir, opts, err := o.prepare(c)
	if err != nil { // nobody is served before a mistake is told
		return err
	}
	adm, err := serveAdmin(c, certs, tracer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, adm.end()) }()
	o.meter = adm.meter
	s, err := o.open(c, dir, opts)
	if err != nil {
		return err
	}
	limitMemory(s.Node)
	st := s.Status()
	c.Notef("node %s in %s: timeline %d, %s on %s, LSN %d durable", st.NodeID, st.Dir, st.Timeline,
		cli.Plural(st.VShards, "vshard"), cli.Plural(len(st.Cores), "core"), st.Watermarks.Durable)
	for _, store := range s.stores {
		optional := ""
		if store.Optional {
			optional = " (optional)"
		}
		c.Notef("archive %s%s", store.Store.URL(), optional)
	}
	if len(s.stores) == 0 {
		c.Notef("no archive: the log is truncated after each checkpoint, and this directory is the only copy")
	}
	if err := tracer.Start(st.NodeID); err != nil {
		return errors.Join(err, s.Close())
	}
	clients, err := listen(c, s, certs, users, tracer)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	adm.attach(s, clients)
	c.Notef("running; Ctrl-C stops")
	tellManager(c, "READY=1")
	broken := clients.wait(c, hangups)
	tellManager(c, "STOPPING=1")
	adm.drain()
	doc := serveDoc{NodeID: st.NodeID, Ran: time.Since(began)}
	if err := errors.Join(broken, clients.end(), s.drain(&doc)); err != nil {
		return err
	}
	return c.Answer(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "stopped after %s: LSN %d durable, %d checkpointed, %d archived\n", cli.FormatDuration(doc.Ran), doc.Durable, doc.Checkpointed, doc.Archived)
		return err
	})
}

// drain ends the node step by step, so that a person sees what is awaited. What
// one step does not reach in time is left to the next start.
func (s *session) drain(doc *serveDoc) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.call.Duration("drain-timeout"))
	defer cancel()
	var errs []error
	fenced := false
	s.call.Notef("last checkpoint")
	if _, err := s.Checkpoint(ctx); err != nil {
		errs = append(errs, fmt.Errorf("last checkpoint: %w", err))
	}
	if len(s.stores) > 0 {
		s.call.Notef("sending the rest of the log to the archive")
		if _, _, err := s.drainArchive(ctx); err != nil {
			fate := "it is kept, the next start goes on"
			if fenced = errors.Is(err, archive.ErrFenced); fenced {
				fate = "it is in this directory only, and the next start with this archive is refused"
			}
			errs = append(errs, fmt.Errorf("archive the tail of the log (%s): %w", fate, err))
		}
	}
	s.call.EndProgress()
	m := s.Status().Watermarks
	doc.Durable, doc.Checkpointed, doc.Archived = m.Durable, m.Checkpointed, m.Archived
	if err := s.Shutdown(ctx); err != nil && !(fenced && onlyFenced(err)) {
		errs = append(errs, err)
	}
	doc.Drained = time.Since(began)
	return errors.Join(append(errs, s.stores.Close())...)
}

// onlyFenced tells that an error of Shutdown says nothing but what the wait
// for the archive has said already.
func onlyFenced(err error) bool {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return errors.Is(err, archive.ErrFenced)
	}
	return !slices.ContainsFunc(many.Unwrap(), func(e error) bool { return !errors.Is(e, archive.ErrFenced) })
}
