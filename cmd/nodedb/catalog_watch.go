package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/lambda/watch"
)

func catalogWatchVerb() *cli.Verb {
	return &cli.Verb{
		Name: "watch", Usage: "index segments as they arrive, until it is stopped",
		Description: `It begins with what has no index yet, and goes on with what comes: found by
listing, posted by the store (--listen, for webhooks in the form of S3's events), or
told by it over a connection that stays open (--source notify). It prints a line for each segment, with --json
an object a line. Ctrl-C stops it. Only one store is watched; run one for each.`,
		Flags: append([]ucli.Flag{
			cli.ArchiveFlag(), cli.NodeIDFlag("`ID` of the node in the archive; without it all nodes there are watched"),
			&ucli.StringFlag{Name: "source", Value: "auto", Usage: "`auto`, notify (what the store tells), poll or webhook; auto is webhook with --listen, else poll"},
			&ucli.DurationFlag{Name: "interval", Value: watch.IntervalDefault, Usage: "time between two listings, and before what failed is tried again"},
			&ucli.StringFlag{Name: "listen", Usage: "take events by HTTP at `ADDR`, like 127.0.0.1:9099"},
			&ucli.StringFlag{Name: "listen-token", Usage: "`TOKEN` that events must bear; better given by " + cli.EnvName("listen-token")},
			&ucli.BoolFlag{Name: "reveal-encrypted", Usage: "index encrypted segments too, in plain"},
		}, cli.IdentityFlags()...),
		Run: runCatalogWatch,
	}
}

func runCatalogWatch(c *cli.Call) error {
	source := c.String("source")
	if source == "auto" && c.String("listen") != "" {
		source = "webhook"
	}
	switch {
	case source != "auto" && source != "notify" && source != "poll" && source != "webhook":
		return cli.Usagef("--source is %q, want auto, notify, poll or webhook", source)
	case (source == "webhook") != (c.String("listen") != ""):
		return cli.Hint(cli.Usagef("--source webhook and --listen ADDR belong together"), "for example --listen 127.0.0.1:9099")
	case c.Duration("interval") <= 0:
		return cli.Usagef("--interval is %s, want more than 0", c.Duration("interval"))
	case len(c.ArchiveURLs()) > 1:
		return cli.Usagef("a watch looks at one store: run one for each --archive")
	}
	stores, err := c.OpenStores()
	if err != nil {
		return err
	}
	defer stores.Close()
	if len(stores) == 0 {
		return cli.Hint(cli.Usagef("no archive given"), "name it with --archive URL or %s", cli.EnvName("archive"))
	}
	return watchStore(c, stores[0].Store, source)
}

func watchStore(c *cli.Call, s archive.Store, source string) error {
	ids, err := c.Identities()
	if err != nil {
		return err
	}
	h := &index.Handler{Store: s, NodeID: c.String("node-id"), Identities: ids, RevealEncrypted: c.Bool("reveal-encrypted")}
	if h.NodeID != "" && !archive.ValidNodeID(h.NodeID) {
		return cli.Usagef("--node-id %q: %w", h.NodeID, archive.ErrBadNodeID)
	}
	url := c.ArchiveURLs()[0]
	if h.Bucket, h.Prefix, err = archive.Place(url); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	told := &watched{call: c, cancel: cancel, counts: map[index.Outcome]int{}}
	h.Told = told.result
	began := time.Now()
	w := &watch.Watcher{Handler: h, Interval: c.Duration("interval"), Logger: c.Log}
	if err := watchBy(ctx, c, w, source, url); err != nil {
		return cli.Hint(err, "what is indexed stays: run the same command again to go on")
	}
	if told.err != nil {
		return told.err
	}
	c.Notef("stopped after %s: %s", cli.FormatDuration(time.Since(began)), told.summary())
	return nil
}

// watchBy runs one of the ways to hear of segments.
func watchBy(ctx context.Context, c *cli.Call, w *watch.Watcher, source, url string) error {
	at := w.Handler.Store.URL()
	switch source {
	case "webhook":
		l, err := net.Listen("tcp", c.String("listen"))
		if err != nil {
			return cli.Usagef("--listen %s: %w", c.String("listen"), err)
		}
		c.Notef("watching %s: events are taken at http://%s; Ctrl-C stops", at, l.Addr())
		if host, ok := l.Addr().(*net.TCPAddr); ok && !host.IP.IsLoopback() && c.String("listen-token") == "" {
			c.Notef("warning: whoever reaches this address can post events; --listen-token keeps others out")
		}
		return w.Serve(ctx, l, c.String("listen-token"))
	case "notify":
		bucket, err := watch.OpenBucket(ctx, strings.TrimSpace(url))
		if err != nil {
			return err
		}
		c.Notef("watching %s: what the store tells; Ctrl-C stops", at)
		return w.Notify(ctx, bucket)
	}
	c.Notef("watching %s: a listing every %s; Ctrl-C stops", at, cli.FormatDuration(w.Interval))
	return w.Poll(ctx)
}

// watched prints what becomes of each segment.
type watched struct {
	call   *cli.Call
	cancel context.CancelFunc

	mu     sync.Mutex
	counts map[index.Outcome]int
	err    error // of the output; the watch ends
}

func (w *watched) result(r index.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[r.Outcome]++
	line := fmt.Sprintf("%-9s  %s", r.Outcome, r.Segment)
	if r.Outcome == index.Indexed {
		line += fmt.Sprintf("  %s, %s", cli.Plural(r.Rows, "change"), cli.FormatSize(r.Bytes))
	}
	if r.Reason != "" {
		line += "  " + r.Reason
	}
	if err := w.call.WriteLine(r, line); err != nil && w.err == nil {
		w.err = err
		w.cancel()
	}
}

func (w *watched) summary() string {
	var parts []string
	for _, o := range []index.Outcome{index.Indexed, index.Existed, index.Encrypted, index.Gone, index.Refused} {
		if n := w.counts[o]; n > 0 || o == index.Indexed {
			parts = append(parts, cli.Plural(n, "segment")+" "+string(o))
		}
	}
	return strings.Join(parts, ", ")
}
