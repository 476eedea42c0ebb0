package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/pitr"
)

// standbyDoc is what the files of a standby tell. Nothing is opened and nobody
// is asked: it may follow meanwhile.
type standbyDoc struct {
	Dir       string             `json:"dir"`
	Standby   *engine.Standby    `json:"standby"`
	Following bool               `json:"following"` // by what the status says; a killed follower cannot take it back
	Follower  *pitr.FollowStatus `json:"follower,omitempty"`
}

func statusOfStandby(c *cli.Call) error {
	dir := c.String("dir")
	st, err := engine.ReadStandby(vfs.Default, dir)
	if err != nil {
		return err
	}
	f, err := pitr.ReadFollowStatus(vfs.Default, dir)
	if err != nil {
		return err
	}
	doc := standbyDoc{Dir: dir, Standby: st, Follower: f}
	doc.Following = f != nil && f.State != pitr.FollowStopped && alive(f.PID)
	return c.Answer(doc, func(w io.Writer) error { return writeStandby(w, &doc) })
}

// alive tells whether a process of this machine has the number.
func alive(pid int) bool { return pid > 0 && exists(filepath.Join("/proc", strconv.Itoa(pid))) }

func writeStandby(w io.Writer, d *standbyDoc) error {
	rows := [][]string{
		{"standby of", d.Standby.NodeID},
		{"directory", d.Dir},
		{"archive", strings.Join(d.Standby.Stores, ", ")},
		{"vshards", strconv.Itoa(d.Standby.VShards)},
		{"timeline", d.Standby.Timeline.String()},
	}
	f := d.Follower
	if f == nil {
		return cli.Table(w, append(rows, []string{"follower", "none has run yet"}))
	}
	who := "none; the last one was pid " + strconv.Itoa(f.PID)
	if d.Following {
		who = fmt.Sprintf("pid %d, %s", f.PID, f.State)
	}
	rows = append(rows, []string{"follower", who},
		[]string{"applied", cli.FormatPosition(pitr.Position{Timeline: f.Timeline, LSN: f.Applied, Time: f.AppliedTime})},
		[]string{"archived", fmt.Sprintf("LSN %d, seen %s", f.Archived, cli.FormatTime(f.PolledAt))},
		[]string{"lag", fmt.Sprintf("%.1f s", f.LagSeconds)})
	if f.MissingFrom != 0 {
		rows = append(rows, []string{"missing", fmt.Sprintf("LSNs %d to %d", f.MissingFrom, f.MissingTo)})
	}
	if f.Error != "" {
		rows = append(rows, []string{"trouble", f.Error})
	}
	return cli.Table(w, rows)
}
