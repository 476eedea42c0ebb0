package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

const demoNodeID = "demo"

func demoVerb() *cli.Verb {
	return &cli.Verb{
		Name: "demo", Category: tryCategory, Usage: "the whole story in one run, on real data, in a temporary directory",
		Description: `A child process opens a node with a file:// archive and loads the files of
GOROOT/src with many writers, overwrites and removes some, and names points;
meanwhile checkpoints and a base backup are taken, segments are archived, and the
log is truncated. The child is killed with SIGKILL in the middle of it. The node
is opened again and every acknowledged write is checked. Then its directory is
removed, and the state is restored from the archive by LSN, by time, by name, and
to the end, each compared key by key and by digest. Nothing is taken on trust:
what each state must be is computed from the acknowledgements alone.

It exits with a code other than 0 when anything differs.`,
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "source", Usage: "tree of files `DIR` to load (default: GOROOT/src)"},
			&ucli.StringFlag{Name: "work", Usage: "make the temporary directory below `DIR`"},
			&ucli.IntFlag{Name: "writers", Value: 32, Usage: "`N` concurrent writers"},
			&ucli.Uint64Flag{Name: "seed", Usage: "`N`: repeat the writes of an earlier run (default: random)"},
			&ucli.BoolFlag{Name: "keep", Usage: "keep the directory, to look around in it"},
		},
		Run: runDemo,
	}
}

// demo is one run. Its steps are in demo_write.go (until the kill),
// demo_reopen.go and demo_restore.go.
type demo struct {
	call   *cli.Call
	dir    string // temporary: node/, archive/, restore-…/
	script *demoScript
	model  *demoModel
	report demoReport
	events demoEvents
	store  archive.Store
	lsnMax wal.LSN // highest in the archive before a restored node goes on
}

func runDemo(c *cli.Call) (err error) {
	source, err := demoSource(c)
	if err != nil {
		return err
	}
	if n := c.Int("writers"); n < 1 || n > 1024 {
		return cli.Usagef("--writers is %d, want 1 to 1024", n)
	}
	d := &demo{call: c}
	if d.dir, err = os.MkdirTemp(c.String("work"), "nodedb-demo-"); err != nil {
		return err
	}
	defer func() {
		if !c.Bool("keep") {
			err = errors.Join(err, os.RemoveAll(d.dir))
		}
	}()
	seed := c.Uint64("seed")
	if !c.IsSet("seed") {
		seed = rand.Uint64()
	}
	if err := d.prepare(source, seed); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.write, d.reopen, d.wipe, d.restoreAll} {
		if err := step(c.Context()); err != nil {
			return cli.Hint(err, "%s", d.keptHint())
		}
	}
	return d.finish()
}

// demoSource is the tree to load.
func demoSource(c *cli.Call) (string, error) {
	if s := c.String("source"); s != "" {
		info, err := os.Stat(s)
		if err != nil {
			return "", cli.Usagef("--source: %w", err)
		}
		if !info.IsDir() {
			return "", cli.Usagef("--source %s is not a directory", s)
		}
		return filepath.Abs(s)
	}
	noGo := func(why any) error {
		return cli.Hint(fmt.Errorf("no Go toolchain whose source could be loaded: %v", why), "name any tree of files with --source DIR")
	}
	out, err := exec.CommandContext(c.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		return "", noGo(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	if _, err := os.Stat(root); err != nil {
		return "", noGo(err)
	}
	return root, nil
}

func (d *demo) prepare(source string, seed uint64) (err error) {
	if d.script, err = newDemoScript(source, d.call.Int("writers"), seed); err != nil {
		return cli.Hint(err, "name another tree with --source DIR, or take fewer --writers")
	}
	if d.model, err = newDemoModel(d.script); err != nil {
		return err
	}
	if d.store, _, err = archive.OpenStore(d.call.Context(), d.archiveURL()); err != nil {
		return err
	}
	d.report = demoReport{Source: source, Files: len(d.script.files), Bytes: d.script.bytes(), Writers: d.script.writers,
		Seed: seed, Problems: []string{}, Restores: []demoRestore{}}
	d.call.Notef("nodedb demo: %s files, %s of %s, %d writers, seed %d", cli.FormatCount(d.report.Files),
		cli.FormatSize(d.report.Bytes), source, d.report.Writers, seed)
	return nil
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) archiveURL() string { return "file://" + filepath.ToSlash(d.path("archive")) }

// problem records a difference; the run goes on, and ends with an error.
func (d *demo) problem(format string, args ...any) {
	d.report.problems++
	if len(d.report.Problems) < problemsMax {
		d.report.Problems = append(d.report.Problems, fmt.Sprintf(format, args...))
	}
}

// problemsMax is how many differences are told one by one.
const problemsMax = 20

func (d *demo) keptHint() string {
	if d.call.Bool("keep") {
		return "everything is kept in " + d.dir
	}
	return fmt.Sprintf("--keep --seed %d makes the same writes and keeps the directory", d.report.Seed)
}

// finish answers, and fails when anything differed.
func (d *demo) finish() error {
	d.report.OK = d.report.problems == 0
	if d.call.Bool("keep") {
		d.report.Kept = d.dir
	}
	if err := d.call.Answer(d.report, d.report.write); err != nil {
		return err
	}
	if !d.report.OK {
		return &cli.Error{Code: cli.CodeCorrupt, Err: fmt.Errorf("%s, the first: %s", cli.Plural(d.report.problems, "difference"), d.report.Problems[0]), Hint: d.keptHint()}
	}
	return nil
}
