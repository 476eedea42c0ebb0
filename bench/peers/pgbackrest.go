package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgres is a cluster of the Debian package, with pgBackRest's repositories.
type postgres struct {
	*rig
	as   *syscall.Credential // who runs it; nil: who runs us
	bin  string              // of PostgreSQL
	repo int                 // repositories made
}

const pgPort = "54999" // of a Unix socket; nothing listens on TCP

// pgbackrest compares pushing the same bytes of log into an archive on the same
// file system, and restoring the same row changes from it.
func pgbackrest(ctx context.Context, r *rig) (err error) {
	p := &postgres{rig: r, bin: "/usr/lib/postgresql/15/bin/"}
	if err := p.setUp(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop("data")) }()
	if err := p.psql(ctx, "-f", r.path("rows.sql")); err != nil {
		return err
	}
	if err := p.psql(ctx, "-c", "select pg_switch_wal()"); err != nil {
		return err
	}
	segments, err := p.ready()
	if err != nil {
		return err
	}
	size, err := writePages(r.path("pages.jsonl"), segments)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "  %d segments, %d MiB of their log\n", len(segments), size>>20)
	err = r.inTurns("archive push", func(i int) (time.Duration, error) { return r.push(ctx, i) },
		func(int) (time.Duration, error) { return p.push(ctx, segments) })
	if err != nil {
		return err
	}
	if err := p.restores(ctx); err != nil {
		return err
	}
	return r.print(row{"archive push", "≥ 2×", "MB", float64(size) / 1e6}, row{"restore", "≥ 2×", "changes", float64(r.changes)})
}

// setUp makes the cluster, its first repository and a full backup in that, and
// then keeps the log waiting.
func (p *postgres) setUp(ctx context.Context) error {
	if err := writeRows(p.path("rows.jsonl"), p.path("rows.sql"), "create table kv(k text primary key, v text);", p.changes); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, err := strconv.Atoi(u.Uid)
		gid, gerr := strconv.Atoi(u.Gid)
		if err := errors.Join(err, gerr); err != nil {
			return err
		}
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(p.dir, uid, gid); err != nil {
			return err
		}
	}
	if err := p.run(ctx, p.bin+"initdb", "-D", p.path("data"), "-A", "trust"); err != nil {
		return err
	}
	f, err := os.OpenFile(p.path("data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `
listen_addresses = ''
port = %s
unix_socket_directories = '%s'
archive_mode = on
archive_command = 'pgbackrest --config=%s --stanza=main archive-push %%p'
max_wal_size = 8GB
checkpoint_timeout = 60min
`, pgPort, p.dir, p.config())
	if err := errors.Join(err, f.Close(), p.newRepo(ctx, false)); err != nil {
		return err
	}
	for _, step := range [][]string{
		{p.bin + "pg_ctl", "-D", p.path("data"), "-l", p.path("postgres.log"), "-w", "start"},
		p.backrest("stanza-create"),
		p.backrest("backup", "--type=full"),
	} {
		if err := p.run(ctx, step[0], step[1:]...); err != nil {
			return err
		}
	}
	return errors.Join(
		p.psql(ctx, "-c", "alter system set archive_command = ''"),
		p.psql(ctx, "-c", "select pg_reload_conf()"))
}

func (p *postgres) run(ctx context.Context, name string, args ...string) error {
	_, err := p.commandAs(ctx, p.as, nil, name, args...)
	return err
}

func (p *postgres) psql(ctx context.Context, args ...string) error {
	return p.run(ctx, "psql", slices.Concat([]string{"-q", "-v", "ON_ERROR_STOP=1", "-h", p.dir, "-p", pgPort, "-d", "postgres"}, args)...)
}

func (p *postgres) config() string { return p.path(fmt.Sprint("backrest", p.repo, ".conf")) }

func (p *postgres) backrest(args ...string) []string {
	return append([]string{"pgbackrest", "--config=" + p.config(), "--stanza=main"}, args...)
}

// newRepo makes the next repository; its stanza needs the running cluster.
func (p *postgres) newRepo(ctx context.Context, stanza bool) error {
	if stanza {
		p.repo++
	}
	text := fmt.Sprintf(`[global]
repo1-path=%[1]s/repo%[2]d
repo1-retention-full=1
log-path=%[1]s
lock-path=%[1]s/lock
compress-type=zst
compress-level=1
process-max=2
start-fast=y
[main]
pg1-path=%[1]s/data
pg1-socket-path=%[1]s
pg1-port=%[3]s
`, p.dir, p.repo, pgPort)
	if err := os.WriteFile(p.config(), []byte(text), 0o644); err != nil || !stanza {
		return err
	}
	c := p.backrest("stanza-create")
	return p.run(ctx, c[0], c[1:]...)
}

// ready lists the segments of the log that wait for the archive, oldest first.
func (p *postgres) ready() ([]string, error) {
	marks, err := filepath.Glob(p.path("data", "pg_wal", "archive_status", "*.ready"))
	if err != nil || len(marks) == 0 {
		return nil, fmt.Errorf("PostgreSQL has no segments to archive: %w", err)
	}
	var out []string
	for _, m := range marks {
		out = append(out, p.path("data", "pg_wal", strings.TrimSuffix(filepath.Base(m), ".ready")))
	}
	return out, nil
}

// push archives every segment into a new repository, as PostgreSQL would: one
// after the other.
func (p *postgres) push(ctx context.Context, segments []string) (time.Duration, error) {
	if err := p.newRepo(ctx, true); err != nil {
		return 0, err
	}
	began := time.Now()
	for _, s := range segments {
		c := p.backrest("archive-push", s)
		if err := p.run(ctx, c[0], c[1:]...); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// push archives a log of the same bytes.
func (r *rig) push(ctx context.Context, i int) (time.Duration, error) {
	dir, archive := r.path(fmt.Sprint("node", i)), r.fileURL(fmt.Sprint("archive", i))
	// A node that knows an archive keeps its log while it is opened without.
	if _, err := r.command(ctx, r.ours("nodedb"), "put", "--dir", dir, "--archive", archive, "first", ""); err != nil {
		return 0, err
	}
	if _, err := r.command(ctx, r.ours("nodedb"), "load", "--dir", dir, r.path("pages.jsonl")); err != nil {
		return 0, err
	}
	return r.timed(ctx, nil, r.ours("nodedb"), "archive", "push", "--dir", dir, "--archive", archive)
}

func (r *rig) fileURL(name string) string {
	return (&url.URL{Scheme: "file", Path: r.path(name)}).String()
}

// restores brings the row changes back: ours to a proven directory, theirs to a
// server that answers.
func (p *postgres) restores(ctx context.Context) error {
	if _, err := p.command(ctx, p.ours("nodedb"), "load", "--dir", p.path("rows"), "--archive", p.fileURL("rows.archive"), p.path("rows.jsonl")); err != nil {
		return err
	}
	p.repo = 0 // the one with the backup takes the log as well
	segments, err := p.ready()
	if err != nil {
		return err
	}
	for _, s := range segments {
		c := p.backrest("archive-push", s)
		if err := p.run(ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	return p.inTurns("restore", func(i int) (time.Duration, error) {
		return p.timed(ctx, nil, p.rig.ours("pitr-restore"), "restore", "--archive", p.fileURL("rows.archive"), "--latest", "--target-dir", p.path(fmt.Sprint("out", i)))
	}, func(i int) (time.Duration, error) { return p.restore(ctx, fmt.Sprint("data", i)) })
}

// restore ends when the restored server has replayed the log and takes writes.
func (p *postgres) restore(ctx context.Context, name string) (time.Duration, error) {
	const port = "54998"
	began := time.Now()
	c := p.backrest("restore", "--pg1-path="+p.path(name))
	if err := p.run(ctx, c[0], c[1:]...); err != nil {
		return 0, err
	}
	err := p.run(ctx, p.bin+"pg_ctl", "-D", p.path(name), "-l", p.path(name+".log"), "-o", "-c archive_mode=off -c port="+port, "-w", "-t", "600", "start")
	if err != nil {
		return 0, err
	}
	for {
		out, err := p.commandAs(ctx, p.as, nil, "psql", "-h", p.dir, "-p", port, "-d", "postgres", "-Atc", "select not pg_is_in_recovery()")
		if err != nil || strings.TrimSpace(out) == "t" {
			took := time.Since(began)
			return took, errors.Join(err, p.stop(name))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop stops a server, also after the run was interrupted.
func (p *postgres) stop(name string) error {
	return p.run(context.Background(), p.bin+"pg_ctl", "-D", p.path(name), "-m", "fast", "-w", "stop")
}

// writePages writes the bytes of their log as entries of 8 KiB, so that ours
// holds the same.
func writePages(name string, segments []string) (size int64, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, s := range segments {
		data, err := os.ReadFile(s)
		if err != nil {
			return 0, err
		}
		for page := range slices.Chunk(data, 8<<10) {
			fmt.Fprintf(w, "{\"key\":\"%012d\",\"value_b64\":%q}\n", size, base64.StdEncoding.EncodeToString(page))
			size += int64(len(page))
		}
	}
	return size, w.Flush()
}
