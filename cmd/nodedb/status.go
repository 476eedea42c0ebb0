package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
)

func statusVerb() *cli.Verb {
	return &cli.Verb{
		Name: "status", Category: nodeCategory, Usage: "show who the node is, how far it is, and what holds it back",
		Description: `While another process has the node open, it shows what the files tell. It does
not ask the archive: there is no epoch and archived_lsn is 0 here, see nodedb
archive status. With --addr the running node itself tells.`,
		Flags: readFlags(remoteFlags()...), Run: runStatus,
	}
}

func runStatus(c *cli.Call) (err error) {
	if yes, err := isRemote(c); err != nil || yes {
		return statusOfRunning(c, err)
	}
	s, err := openNode(c, opening{})
	if errors.Is(err, node.ErrStandby) {
		return statusOfStandby(c)
	}
	if errors.Is(err, node.ErrLocked) {
		return statusOfFiles(c, err)
	}
	if err != nil {
		return err
	}
	defer s.closeInto(&err)
	st := s.Status()
	return c.Answer(st, func(w io.Writer) error { return writeStatus(w, st, hasArchive(st.Dir)) })
}

func statusOfRunning(c *cli.Call, before error) (err error) {
	r, done, err := connected[*remote](c, before)
	if err != nil {
		return err
	}
	defer done(&err)
	st, err := r.status(c.Context())
	if err != nil {
		return err
	}
	return c.Answer(st, func(w io.Writer) error { return writeStatus(w, st, false) })
}

// seeArchive stands for what only the archive can tell.
const seeArchive = "see nodedb archive status --dir DIR"

func writeStatus(w io.Writer, s node.Status, archived bool) error {
	m := s.Watermarks
	writable := "yes"
	if !s.Writable {
		writable = "no: " + s.Reason
	}
	rows := [][]string{
		{"node", s.NodeID},
		{"directory", s.Dir},
		{"writable", writable},
		{"timeline", s.Timeline.String()},
		{"vshards", fmt.Sprintf("%d on %s", s.VShards, cli.Plural(len(s.Cores), "core"))},
		{"durable", "LSN " + m.Durable.String()},
		{"checkpointed", fmt.Sprintf("LSN %d (%s behind)", m.Checkpointed, cli.FormatCount(uint64(m.Durable-min(m.Checkpointed, m.Durable))))},
		{"truncated", "LSN " + m.Truncated.String()},
		{"log", fmt.Sprintf("%s, %s", cli.Plural(s.Log.Segments, "segment"), cli.FormatSize(s.Log.Bytes))},
		{"recovery", fmt.Sprintf("%s in %s", cli.Plural(s.Recovery.Records, "record"), cli.FormatDuration(s.Recovery.Duration))},
	}
	var disk uint64
	for _, v := range s.Shards {
		disk += v.Stats.DiskBytes
		if v.State != "serving" {
			rows = append(rows, []string{"vshard " + strconv.Itoa(int(v.ID)), v.State + ": " + v.Reason})
		}
	}
	rows = append(rows, []string{"tables", cli.FormatSize(int64(disk))})
	if s.Archive == nil && archived {
		rows = append(rows, []string{"archived", seeArchive})
	}
	if a := s.Archive; a != nil {
		rows = append(rows, []string{"archived", fmt.Sprintf("LSN %d, %s waiting of a budget of %s", a.Archived, cli.FormatSize(a.WaitingBytes), cli.FormatSize(a.BudgetBytes))})
		for _, t := range []string{a.Stalled, a.Fenced} {
			if t != "" {
				rows = append(rows, []string{"archive", t})
			}
		}
		for _, st := range a.Stores {
			rows = append(rows, []string{"store", strings.TrimSpace(fmt.Sprintf("%s: LSN %d, %d waiting%s %s", st.URL, st.Archived, st.Queued, lagText(&st), st.LastError))})
		}
	}
	return cli.Table(w, rows)
}

// lagText says what a store is brought from the others.
func lagText(st *archive.StoreStatus) string {
	if st.Missing == 0 {
		return ""
	}
	return fmt.Sprintf(", %d LSNs from %d on to be copied from another store", st.Missing, st.MissingFrom)
}

// filesDoc is what can be said of a node that another process has open.
type filesDoc struct {
	Dir      string       `json:"dir"`
	Meta     *engine.Meta `json:"node"`
	HeldBy   string       `json:"held_by"`
	Addr     string       `json:"addr,omitempty"` // where the holder is asked
	Segments int          `json:"segments"`
	Bytes    int64        `json:"bytes"`
}

func statusOfFiles(c *cli.Call, locked error) error {
	dir := c.String("dir")
	meta, err := engine.ReadMeta(vfs.Default, dir)
	if err != nil {
		return err
	}
	segments, err := listSegments(filepath.Join(dir, "wal"))
	if err != nil {
		return err
	}
	doc := filesDoc{Dir: dir, Meta: meta, HeldBy: locked.Error(), Segments: len(segments)}
	if pid, ok := heldBy(dir); ok {
		doc.HeldBy = "pid " + strconv.Itoa(pid)
		doc.Addr, _ = addressOf(dir, pid)
	}
	for _, s := range segments {
		doc.Bytes += s.FileBytes
	}
	return c.Answer(doc, func(w io.Writer) error {
		holder := doc.HeldBy
		if doc.Addr != "" {
			holder += "; ask it with nodedb status --addr " + doc.Addr
		}
		return cli.Table(w, [][]string{
			{"node", meta.NodeID},
			{"directory", dir},
			{"open in", holder},
			{"timeline", meta.Timeline.String()},
			{"vshards", strconv.Itoa(meta.VShards)},
			{"log", fmt.Sprintf("%s, %s", cli.Plural(doc.Segments, "file"), cli.FormatSize(doc.Bytes))},
		})
	})
}
