package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func topVerb() *cli.Verb {
	return &cli.Verb{
		Name: "top", Category: nodeCategory, Usage: "watch a node that runs: rates, watermarks, archive, cores",
		Description: `In a terminal the view is drawn anew after each interval; into a pipe goes one line
each. Ctrl-C ends it. With --json it looks once, for one interval.`,
		Flags: append(remoteFlags(), tenantFlag(),
			&ucli.DurationFlag{Name: "interval", Value: time.Second, Usage: "time between two looks"},
			&ucli.IntFlag{Name: "count", Usage: "end after `N` looks; 0: never"}),
		Run: runTop,
	}
}

// look is what top shows of one moment.
type look struct {
	Time     time.Time `json:"time"`
	Clients  int64     `json:"clients"`
	Commands float64   `json:"commands_per_second"`
	Records  float64   `json:"records_per_second"`
	Syncs    float64   `json:"syncs_per_second"`
	P99      float64   `json:"update_p99_ms"` // what clients waited for; 0: no update has ended
	Durable  wal.LSN   `json:"durable_lsn"`
	Unsaved  wal.LSN   `json:"not_checkpointed"` // records
	Archived wal.LSN   `json:"archived_lsn"`
	Lag      wal.LSN   `json:"not_archived"` // records
	LogBytes int64     `json:"log_bytes"`
	Queue    int       `json:"queue"` // of all cores
	Busy     float64   `json:"busy"`  // share of the time, of the busiest core

	status   node.Status
	commands int64
}

func runTop(c *cli.Call) (err error) {
	if c.String("addr") == "" {
		return cli.Hint(cli.Usagef("no node given"), "name it with --addr HOST:PORT or unix:PATH")
	}
	interval, count := c.Duration("interval"), c.Int("count")
	if interval <= 0 || count < 0 {
		return cli.Usagef("--interval is %s and --count %d, want more than 0, and 0 or more", interval, count)
	}
	r, done, err := connected[*remote](c, nil)
	if err != nil {
		return err
	}
	defer done(&err)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	before, err := r.look(c.Context(), nil)
	for n := 1; err == nil; n++ {
		select {
		case <-c.Context().Done():
			return ended(c)
		case <-tick.C:
		}
		var now *look
		if now, err = r.look(c.Context(), before); err != nil {
			break
		}
		if c.JSON {
			return c.Answer(now, nothing)
		}
		if err = now.show(c, n); n == count {
			break
		}
		before = now
	}
	if c.Context().Err() != nil {
		return ended(c)
	}
	return err
}

// ended is no failure when a person has seen enough.
func ended(c *cli.Call) error {
	if c.JSON {
		return c.Context().Err()
	}
	return nil
}

// look asks the node. Rates are since the look before.
func (r *remote) look(ctx context.Context, before *look) (*look, error) {
	st, err := r.status(ctx)
	if err != nil {
		return nil, err
	}
	info, err := r.ask(ctx, "INFO", "clients", "stats")
	if err != nil {
		return nil, err
	}
	w := st.Watermarks
	l := &look{Time: time.Now().UTC(), status: st, Durable: w.Durable, Archived: w.Archived, LogBytes: st.Log.Bytes,
		Clients: fact(info.Text, "connected_clients"), commands: fact(info.Text, "total_commands_processed"),
		Unsaved: w.Durable - min(w.Checkpointed, w.Durable)}
	if st.Archive != nil {
		l.Lag = w.Durable - min(w.Archived, w.Durable)
	}
	for _, core := range st.Cores {
		l.Queue += core.Metrics.Depth
	}
	if before == nil {
		return l, nil
	}
	seconds := l.Time.Sub(before.Time).Seconds()
	l.Commands = float64(l.commands-before.commands) / seconds
	l.Records = float64(l.Durable-before.Durable) / seconds
	updates := st.Updates.Since(&before.status.Updates)
	l.P99 = float64(updates.Quantile(0.99)) / float64(time.Millisecond)
	l.Syncs = float64(st.Log.Stats.Syncs-before.status.Log.Stats.Syncs) / seconds
	for i, core := range st.Cores {
		if i < len(before.status.Cores) {
			busy := (core.Metrics.Busy - before.status.Cores[i].Metrics.Busy).Seconds() / seconds
			l.Busy = max(l.Busy, min(busy, 1))
		}
	}
	return l, nil
}

// fact is a number of INFO, or 0.
func fact(info []byte, name string) int64 {
	sc := bufio.NewScanner(bytes.NewReader(info))
	for sc.Scan() {
		if v, ok := strings.CutPrefix(sc.Text(), name+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

func (l *look) show(c *cli.Call, n int) error {
	if cli.IsTerminal(c.Stdout) {
		return l.draw(c.Stdout)
	}
	if n == 1 {
		if _, err := fmt.Fprintln(c.Stdout, "TIME      CLIENTS  COMMANDS/s  RECORDS/s  SYNCS/s  P99 ms  DURABLE     UNSAVED  NOT ARCHIVED  QUEUE  BUSY"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.Stdout, "%s  %7d  %10.0f  %9.0f  %7.0f  %6.2f  %-10d  %7d  %12d  %5d  %3.0f%%\n", l.Time.Format("15:04:05"),
		l.Clients, l.Commands, l.Records, l.Syncs, l.P99, l.Durable, l.Unsaved, l.Lag, l.Queue, 100*l.Busy)
	return err
}

// draw clears the terminal and shows everything.
func (l *look) draw(w io.Writer) error {
	const home, clear = "\x1b[H", "\x1b[2J"
	var b bytes.Buffer
	b.WriteString(home + clear)
	err := cli.Table(&b, [][]string{
		{"time", cli.FormatTime(l.Time)},
		{"clients", cli.FormatCount(uint64(l.Clients))},
		{"commands", fmt.Sprintf("%.0f/s", l.Commands)},
		{"records", fmt.Sprintf("%.0f/s with %.0f syncs/s", l.Records, l.Syncs)},
		{"updates", fmt.Sprintf("p99 %.2f ms", l.P99)},
		{"cores", fmt.Sprintf("%d waiting, the busiest %.0f%%", l.Queue, 100*l.Busy)},
	})
	if err == nil {
		b.WriteByte('\n')
		err = writeStatus(&b, l.status, false)
	}
	_, werr := w.Write(b.Bytes())
	return errors.Join(err, werr)
}
