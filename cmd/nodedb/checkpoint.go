package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func checkpointVerb() *cli.Verb {
	return &cli.Verb{
		Name: "checkpoint", Category: nodeCategory, Usage: "flush every vshard and truncate the log as far as that is safe",
		Flags: writeFlags(remoteFlags()...), Run: runCheckpoint,
	}
}

func runCheckpoint(c *cli.Call) (err error) {
	s, done, err := openCaring(c, opening{archive: true})
	if err != nil {
		return err
	}
	defer done(&err)
	r, err := s.Checkpoint(c.Context())
	if err != nil {
		return err
	}
	return c.Answer(r, func(w io.Writer) error {
		rows := [][]string{
			{"flushed", "LSN " + r.Flushed.String()},
			{"marker", "LSN " + r.Marker.String()},
			{"archived", "LSN " + r.Archived.String()},
			{"truncated", "LSN " + r.Truncated.String()},
			{"removed", fmt.Sprintf("%s, %s", cli.Plural(r.RemovedSegments, "segment"), cli.FormatSize(r.RemovedBytes))},
			{"took", cli.FormatDuration(r.Duration)},
		}
		if r.HeldBy != "" {
			rows = append(rows, []string{"held by", r.HeldBy})
		}
		return cli.Table(w, rows)
	})
}

func backupVerb() *cli.Verb {
	return &cli.Verb{
		Name: "backup", Category: nodeCategory, Usage: "write a base backup to the archive; only new files travel",
		Flags: writeFlags(remoteFlags()...), Run: runBackup,
	}
}

func runBackup(c *cli.Call) (err error) {
	s, done, err := openCaring(c, opening{archive: true})
	if err != nil {
		return err
	}
	defer done(&err)
	b, err := s.Backup(c.Context())
	if err != nil {
		return err
	}
	doc := b.Summary()
	return c.Answer(doc, func(w io.Writer) error {
		return cli.Table(w, [][]string{
			{"base", doc.Manifest},
			{"state", "LSN " + doc.LSN.String()},
			{"files", fmt.Sprintf("%d, %s", doc.Files, cli.FormatSize(doc.Bytes))},
			{"sent", fmt.Sprintf("%d new objects, %s", doc.NewObjects, cli.FormatSize(doc.NewBytes))},
			{"took", cli.FormatDuration(doc.Took)},
		})
	})
}

func restorePointVerb() *cli.Verb {
	return &cli.Verb{
		Name: "restore-point", Category: nodeCategory, Usage: "name this moment, for pitr-restore --to-point",
		Args: "NAME", ArgsMin: 1, ArgsMax: 1, Flags: writeFlags(remoteFlags()...), Run: runRestorePoint,
	}
}

func runRestorePoint(c *cli.Call) (err error) {
	s, done, err := openCaring(c, opening{archive: true})
	if err != nil {
		return err
	}
	defer done(&err)
	lsn, at, err := s.RestorePoint(c.Context(), c.Arg(0))
	if err != nil {
		return err
	}
	doc := struct {
		Name string    `json:"name"`
		LSN  wal.LSN   `json:"lsn"`
		Time time.Time `json:"time"`
	}{c.Arg(0), lsn, at.UTC()}
	return c.Answer(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s is LSN %d at %s\n", doc.Name, lsn, cli.FormatTime(at))
		return err
	})
}

func digestVerb() *cli.Verb {
	return &cli.Verb{
		Name: "digest", Category: nodeCategory, Usage: "compute the digest of the whole state and log it (of a standby: only compute it)",
		Flags: readFlags(remoteFlags()...), Run: runDigest,
	}
}

func runDigest(c *cli.Call) error {
	d, err := digestOf(c)
	if err != nil {
		return err
	}
	return c.Answer(d, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s  LSN %d, %s, %s\n", d.Digest, d.LSN, cli.Plural(d.Entries, "entry"), cli.FormatTime(d.Time))
		return err
	})
}

// digestOf asks the node, or reads the standby, which logs nothing.
func digestOf(c *cli.Call) (d node.DigestResult, err error) {
	s, done, err := openCaring(c, opening{})
	if errors.Is(err, node.ErrStandby) {
		sb, err := openStandby(c)
		if err != nil {
			return d, err
		}
		d, err = sb.Digest(c.Context())
		return d, errors.Join(err, sb.Close())
	}
	if err != nil {
		return d, err
	}
	defer done(&err)
	return s.Digest(c.Context())
}
