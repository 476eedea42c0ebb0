package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const litestreamModule = "github.com/benbjohnson/litestream/cmd/litestream@v0.5.18"

// litestream compares the time that it takes to restore the same row changes
// from the same S3 server.
func litestream(ctx context.Context, r *rig) (err error) {
	if _, err := r.commandAs(ctx, nil, []string{"GOBIN=" + r.bin}, "go", "install", litestreamModule); err != nil {
		return err
	}
	addr, stop, err := startMinIO(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := writeRows(r.path("rows.jsonl"), r.path("rows.sql"), "pragma busy_timeout=5000; pragma synchronous=normal;", r.changes); err != nil {
		return err
	}
	keys, archive := minioKeys(), minioURL(addr, "ours")
	if _, err := r.commandAs(ctx, nil, keys, r.ours("nodedb"), "load", "--dir", r.path("node"), "--archive", archive, r.path("rows.jsonl")); err != nil {
		return err
	}
	config := r.path("litestream.yml")
	if err := replicate(ctx, r, config, addr); err != nil {
		return err
	}
	err = r.inTurns("restore", func(i int) (time.Duration, error) {
		return r.timed(ctx, keys, r.ours("pitr-restore"), "restore", "--archive", archive, "--latest", "--target-dir", r.path(fmt.Sprint("out", i)))
	}, func(i int) (time.Duration, error) {
		return r.timed(ctx, nil, r.ours("litestream"), "restore", "-config", config, "-o", r.path(fmt.Sprint("out", i, ".db")), r.path("rows.db"))
	})
	if err != nil {
		return err
	}
	if err := sameRows(ctx, r); err != nil {
		return err
	}
	return r.print(row{"restore", "≥ 3×", "changes", float64(r.changes)})
}

// replicate writes the rows with Litestream beside, until it has them all.
func replicate(ctx context.Context, r *rig, config, addr string) error {
	db := r.path("rows.db")
	text := fmt.Sprintf(`access-key-id: %s
secret-access-key: %s
dbs:
  - path: %s
    replica:
      url: s3://bench/theirs
      endpoint: http://%s
      region: us-east-1
      force-path-style: true
`, accessKey, secretKey, db, addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := r.command(ctx, "sqlite3", db, "pragma journal_mode=wal; create table kv(k text primary key, v text);"); err != nil {
		return err
	}
	stop, err := r.background(nil, r.path("litestream.log"), r.ours("litestream"), "replicate", "-config", config)
	if err != nil {
		return err
	}
	_, err = r.command(ctx, "sqlite3", db, ".read "+r.path("rows.sql"))
	// Its end syncs what is left.
	return errors.Join(err, stop())
}

// sameRows holds the two restored states against each other.
func sameRows(ctx context.Context, r *rig) error {
	const ours, theirs = "out0", "out1.db"
	want, err := r.command(ctx, "sqlite3", r.path(theirs), "select k || ' ' || v from kv order by k")
	if err != nil {
		return err
	}
	if _, err := r.command(ctx, r.ours("nodedb"), "export", "--dir", r.path(ours), "--output", r.path("ours.jsonl")); err != nil {
		return err
	}
	f, err := os.Open(r.path("ours.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	got := bufio.NewScanner(f)
	n := 0
	for line := range strings.Lines(want) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !got.Scan() || !strings.Contains(got.Text(), key) || !strings.Contains(got.Text(), value) {
			return fmt.Errorf("the restored states differ at row %d: %.60q and %.60q", n, got.Text(), line)
		}
		n++
	}
	if got.Scan() || n == 0 {
		return fmt.Errorf("the restored states differ: theirs ends after %d rows", n)
	}
	fmt.Fprintf(os.Stderr, "  both restored the same %d rows\n", n)
	return nil
}
