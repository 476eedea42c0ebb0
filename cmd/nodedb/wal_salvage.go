package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func walSalvageVerb() *cli.Verb {
	return &cli.Verb{
		Name: "salvage", Usage: "cut a damaged log at its first damage, giving up what lies behind",
		Description: `Without --yes it only tells what it would do. What is cut is renamed to
*.damaged, not removed. The lost LSNs are declared and never given again. If the
node has an archive, a restore from it usually loses less: see pitr-restore
windows.`,
		Flags: []ucli.Flag{dirFlag(), &ucli.BoolFlag{Name: "yes", Usage: "really do it"}},
		Run:   runSalvage,
	}
}

type salvageDoc struct {
	Done      bool     `json:"done"`
	Cause     string   `json:"cause,omitempty"`
	Kept      wal.LSN  `json:"kept_lsn"`
	LostFirst wal.LSN  `json:"lost_first_lsn"`
	LostLast  wal.LSN  `json:"lost_last_lsn"`
	Next      wal.LSN  `json:"next_lsn"`
	SetAside  []string `json:"set_aside"`
}

func runSalvage(c *cli.Call) error {
	dir, nodeDir, err := logDir(c)
	if err != nil {
		return err
	}
	lock, err := holdLog(nodeDir, true)
	if err != nil {
		return err
	}
	defer lock.Close()
	above, err := appliedMax(nodeDir)
	if err != nil {
		return err
	}
	r, err := wal.Salvage(dir, &wal.SalvageOptions{Above: above, DryRun: !c.Bool("yes")})
	if err != nil {
		return err
	}
	doc := salvageDoc{Done: c.Bool("yes") && r.Cause != nil, Kept: r.Kept, LostFirst: r.LostFirst, LostLast: r.LostLast, Next: r.Next, SetAside: []string{}}
	doc.SetAside = append(doc.SetAside, r.SetAside...)
	if r.Cause != nil {
		doc.Cause = r.Cause.Error()
	}
	return c.Answer(doc, doc.write)
}

// appliedMax is the highest LSN that a vshard of the node holds: the log must
// go on above it.
func appliedMax(nodeDir string) (high wal.LSN, err error) {
	if nodeDir == "" {
		return 0, nil
	}
	dirs, err := filepath.Glob(filepath.Join(nodeDir, "vshard", "????"))
	if err != nil || len(dirs) == 0 {
		return 0, err
	}
	shared, err := engine.NewShared(&engine.Options{Engines: []engine.Engine{kv.New(nil)}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	for _, d := range dirs {
		var id uint16
		if _, err := fmt.Sscanf(filepath.Base(d), "%04x", &id); err != nil {
			return 0, fmt.Errorf("%s: %w", d, os.ErrInvalid)
		}
		v, err := engine.OpenVShard(shared, d, id)
		if err != nil {
			return 0, fmt.Errorf("open vshard %04x: %w", id, err)
		}
		high = max(high, v.Applied())
		if err := v.Close(); err != nil {
			return 0, err
		}
	}
	return high, nil
}

func (d *salvageDoc) write(w io.Writer) error {
	if d.Cause == "" {
		_, err := fmt.Fprintf(w, "the log is whole up to LSN %d, nothing to do\n", d.Kept)
		return err
	}
	verb := "would be"
	if d.Done {
		verb = "are"
	}
	lost := "none is known to be lost"
	if d.LostLast >= d.LostFirst {
		lost = fmt.Sprintf("LSN %d to %d %s given up", d.LostFirst, d.LostLast, verb)
	}
	rows := [][]string{
		{"cause", d.Cause},
		{"kept", fmt.Sprintf("up to LSN %d", d.Kept)},
		{"lost", lost},
		{"next", fmt.Sprintf("LSN %d", d.Next)},
	}
	for _, f := range d.SetAside {
		rows = append(rows, []string{"set aside", f})
	}
	if !d.Done {
		rows = append(rows, []string{"", "nothing was changed; --yes does it"})
	}
	return cli.Table(w, rows)
}
