package main

import (
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// demoReport is what the demo found. Durations are nanoseconds.
type demoReport struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
	problems int
	Source   string `json:"source"`
	Files    int    `json:"files"`
	Bytes    int64  `json:"bytes"`
	Writers  int    `json:"writers"`
	Seed     uint64 `json:"seed"`

	Load        demoRate `json:"load"`
	Churn       demoRate `json:"overwrite"`
	Checkpoints int      `json:"checkpoints"`
	Bases       int      `json:"bases"`
	Points      int      `json:"points"`
	Digests     int      `json:"digests"`
	Log         demoLog  `json:"log"`
	LogPeak     int64    `json:"log_peak_bytes"` // most that was on disk

	Kill         demoKill          `json:"kill"`
	Reopen       demoReopen        `json:"reopen"`
	Final        node.DigestResult `json:"final"`
	NodeBytes    int64             `json:"node_bytes"`
	ArchiveBytes int64             `json:"archive_bytes"`
	Restores     []demoRestore     `json:"restores"`
	Next         demoNext          `json:"next"`
	Kept         string            `json:"kept,omitempty"`
}

type demoRate struct {
	Writes  int           `json:"writes"`
	Removes int           `json:"removes"`
	Bytes   int64         `json:"bytes"`
	Took    time.Duration `json:"duration_ns"`
}

type demoKill struct {
	Acked    int           `json:"acknowledged"`
	SinceAck time.Duration `json:"since_last_ack_ns"`
}

type demoReopen struct {
	Took        time.Duration `json:"duration_ns"`
	Replayed    uint64        `json:"records_replayed"`
	LogBegins   wal.LSN       `json:"log_begins_lsn"`
	Checked     int           `json:"checked"`
	Pending     int           `json:"pending"`      // under way at the kill
	PendingKept int           `json:"pending_kept"` // of these, survived
	Archived    time.Duration `json:"archive_rest_ns"`
}

type demoRestore struct {
	How      string        `json:"how"`
	Target   string        `json:"target"`
	LSN      wal.LSN       `json:"lsn"`
	Time     time.Time     `json:"time"`
	Base     wal.LSN       `json:"base_lsn"`
	Records  uint64        `json:"records"`
	Entries  uint64        `json:"entries"`
	Bytes    int64         `json:"bytes"`
	Digest   string        `json:"digest"`
	ProvenBy []string      `json:"proven_by"`
	Took     time.Duration `json:"duration_ns"`
}

type demoNext struct {
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"`
}

// write tells the story.
func (r *demoReport) write(w io.Writer) error {
	count := cli.FormatCount[int]
	rows := [][]string{
		{"load", fmt.Sprintf("%s durable puts, %s in %s (%s, %s)", count(r.Load.Writes), cli.FormatSize(r.Load.Bytes),
			cli.FormatDuration(r.Load.Took), cli.FormatPerSecond(int64(r.Load.Writes), r.Load.Took), cli.FormatRate(r.Load.Bytes, r.Load.Took))},
		{"change", fmt.Sprintf("%s overwrites and %s removals, %s in %s (%s, %s)", count(r.Churn.Writes-r.Churn.Removes), count(r.Churn.Removes),
			cli.FormatSize(r.Churn.Bytes), cli.FormatDuration(r.Churn.Took), cli.FormatPerSecond(int64(r.Churn.Writes), r.Churn.Took), cli.FormatRate(r.Churn.Bytes, r.Churn.Took))},
		{"meanwhile", fmt.Sprintf("%d checkpoints, %d base backups, %d named points, %d digests", r.Checkpoints, r.Bases, r.Points, r.Digests)},
		{"log", fmt.Sprintf("%s written with %s syncs; archived up to LSN %d, truncated up to %d; never more than %s on disk",
			cli.FormatSize(int64(r.Log.Written)), cli.FormatCount(r.Log.Syncs), r.Log.Archived, r.Log.Truncated, cli.FormatSize(r.LogPeak))},
		{"SIGKILL", fmt.Sprintf("in the middle of %d writes, %s after the last of %s acknowledgements", r.Reopen.Pending, cli.FormatDuration(r.Kill.SinceAck), count(r.Kill.Acked))},
		{"reopen", fmt.Sprintf("in %s, %s records replayed; on disk the log begins at LSN %d, all before is in the archive alone", cli.FormatDuration(r.Reopen.Took), cli.FormatCount(r.Reopen.Replayed), r.Reopen.LogBegins)},
		{"check", fmt.Sprintf("%s acknowledged writes: all there; of the %d under way %d survived", count(r.Reopen.Checked), r.Reopen.Pending, r.Reopen.PendingKept)},
		{"archive", fmt.Sprintf("the rest in %s; %s of archive for %s of node", cli.FormatDuration(r.Reopen.Archived), cli.FormatSize(r.ArchiveBytes), cli.FormatSize(r.NodeBytes))},
		{"wipe", "the node's directory is removed"},
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nRESTORE TO", "LSN", "ENTRIES", "FROM BASE", "RECORDS", "FETCHED", "TIME", "DIGEST"}}
	for _, t := range r.Restores {
		base := "-"
		if t.Base != 0 {
			base = t.Base.String()
		}
		rows = append(rows, []string{t.How, t.LSN.String(), cli.FormatCount(t.Entries), base, cli.FormatCount(t.Records),
			cli.FormatSize(t.Bytes), cli.FormatDuration(t.Took), t.Digest[:16] + "…"})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	verdict := "Every state was compared key by key with what was acknowledged, and by digest: all equal."
	if !r.OK {
		verdict = cli.Plural(r.problems, "difference") + ":"
	}
	lines := []string{"", fmt.Sprintf("The last one went on as timeline %d at LSN %d.", r.Next.Timeline, r.Next.LSN), verdict}
	for _, p := range r.Problems {
		lines = append(lines, "  "+p)
	}
	if r.Kept != "" {
		lines = append(lines, "Kept: "+r.Kept)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}
