package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func archiveVerb() *cli.Verb {
	return &cli.Verb{
		Name: "archive", Category: careCategory, Usage: "look after a node's archive",
		Verbs: []*cli.Verb{
			archiveListVerb(), archiveStatusVerb(), archivePushVerb(), archiveCopyVerb(), archiveCompactVerb(),
			{
				Name: "verify", Usage: "read every object again and check all that can be checked",
				Flags: append(lookFlags(), cli.VerifyFlags("archive")...),
				Run:   cli.RunArchiveVerify,
			},
			archivePinVerb(), archiveUnpinVerb(), archivePruneVerb(), archiveKeygenVerb(), archiveWrapVerb(), archiveKeysVerb(), archiveRewrapVerb(),
			archiveCatalogVerb(), archiveCostVerb(), archiveDoctorVerb(),
		},
	}
}

// lookFlags are those of verbs that need no node, only its archive.
func lookFlags() []ucli.Flag {
	return append([]ucli.Flag{cli.ArchiveFlag(), cli.NodeIDFlag("`ID` of the node in the archive; not needed when there is only one")},
		cli.IdentityFlags()...)
}

func archiveListVerb() *cli.Verb {
	return &cli.Verb{
		Name: "ls", Usage: "list what the archive holds", Run: runArchiveList,
		Flags: append(lookFlags(), &ucli.StringFlag{Name: "kind", Value: "all", Usage: "`all`, segments, packs, bases, epochs, gaps, pins, ledgers, proofs or foreign"}),
	}
}

type objectView struct {
	Store string    `json:"store"`
	Kind  string    `json:"kind"`
	Key   string    `json:"key"`
	Bytes int64     `json:"bytes"`
	Time  time.Time `json:"modified"`
	Note  string    `json:"note,omitempty"`
}

var archiveKinds = map[string]bool{"all": true, "segments": true, "packs": true, "bases": true, "epochs": true, "gaps": true, "pins": true, "ledgers": true, "proofs": true, "foreign": true}

func runArchiveList(c *cli.Call) error {
	kind := c.String("kind")
	if !archiveKinds[kind] {
		return cli.Usagef("--kind is %q, want all, segments, packs, bases, epochs, gaps, pins, ledgers, proofs or foreign", kind)
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	objects := []objectView{}
	for _, a := range archives {
		catalog, err := a.Catalog(c.Context())
		if err != nil {
			return err
		}
		found := listCatalog(a, catalog, kind)
		if len(found) == 0 && len(catalog.Epochs) == 0 {
			if err := c.CheckNode(a); err != nil {
				return err
			}
		}
		objects = append(objects, found...)
	}
	doc := struct {
		Objects []objectView `json:"objects"`
	}{objects}
	return c.Answer(doc, func(w io.Writer) error {
		rows := [][]string{{"KIND", "SIZE", "MODIFIED", "KEY", ""}}
		for _, o := range objects {
			rows = append(rows, []string{o.Kind, cli.FormatSize(o.Bytes), cli.FormatTime(o.Time), o.Key, o.Note})
		}
		return cli.Table(w, rows)
	})
}

func listCatalog(a *archive.Archive, catalog *archive.Catalog, kind string) []objectView {
	var out []objectView
	add := func(k string, o archive.Object, note string) {
		if kind == "all" || kind == k+"s" || kind == k {
			out = append(out, objectView{a.Store().URL(), k, o.Key, o.Size, o.ModTime, note})
		}
	}
	notes := make(map[wal.Epoch]string, len(catalog.Epochs))
	for _, e := range catalog.Epochs {
		notes[e.Epoch] = fmt.Sprintf("timeline %d from LSN %d, %s", e.Timeline, e.FirstLSN, e.Host)
	}
	for _, e := range catalog.Claims {
		note, ok := notes[e.Epoch]
		if !ok {
			note = "cannot be used: see archive verify"
		}
		add("epoch", e.Object, note)
	}
	for _, p := range catalog.Packs {
		add("pack", p.Object, fmt.Sprintf("LSN %d to %d", p.First, p.Last))
	}
	for _, s := range catalog.Segments {
		if s.PackedOnly {
			continue // the pack is what there is
		}
		note := fmt.Sprintf("LSN %d to %d", s.First, s.Last)
		if s.Dead() {
			note += ", written by a fenced epoch"
		} else if s.To != s.Last {
			note += fmt.Sprintf(", history up to %d", s.To)
		}
		add("segment", s.Object, note)
	}
	for _, b := range catalog.Bases {
		add("base", b.Object, fmt.Sprintf("LSN %d", b.LSN))
	}
	for _, g := range catalog.Gaps {
		add("gap", g.Object, fmt.Sprintf("LSN %d to %d are declared lost", g.First, g.Last))
	}
	for _, p := range catalog.Pins {
		add("pin", p.Object, "")
	}
	for _, l := range catalog.Ledgers {
		add("ledger", l.Object, "what was verified when")
	}
	for _, p := range catalog.Proofs {
		add("proof", p.Object, fmt.Sprintf("of a drill at LSN %d", p.LSN))
	}
	for _, f := range catalog.Foreign {
		add("foreign", f, "not ours, never touched")
	}
	return out
}

func archiveStatusVerb() *cli.Verb {
	return &cli.Verb{
		Name: "status", Usage: "show how far the archive is, and with --dir how far behind the node's log",
		Flags: append(lookFlags(), dirFlag()), Run: runArchiveStatus,
	}
}

type archiveStatusDoc struct {
	NodeID string            `json:"node_id"`
	Stores []storeStatusView `json:"stores"`
	Local  wal.LSN           `json:"local_lsn,omitempty"` // last record in the node's log
	Pins   []archive.PinInfo `json:"pins"`
}

type storeStatusView struct {
	URL      string    `json:"url"`
	LSN      wal.LSN   `json:"archived_lsn"`
	Writer   wal.Epoch `json:"epoch"`
	Host     string    `json:"host"`
	Segments int       `json:"segments"`
	Bytes    int64     `json:"bytes"` // of segments
	Bases    int       `json:"bases"`
	Gaps     int       `json:"gaps"`
	Foreign  int       `json:"foreign_objects"`
	Behind   *uint64   `json:"behind,omitempty"` // records of the node's log that it lacks
}

func runArchiveStatus(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	doc := archiveStatusDoc{NodeID: archives[0].NodeID(), Pins: []archive.PinInfo{}}
	if c.String("dir") != "" {
		dir, _, err := logDir(c)
		if err != nil {
			return err
		}
		segments, err := listSegments(dir)
		if err != nil {
			return err
		}
		for _, s := range segments {
			doc.Local = max(doc.Local, s.Last)
		}
	}
	for _, a := range archives {
		if err := doc.add(c, a); err != nil {
			return err
		}
	}
	return c.Answer(doc, doc.write)
}

func (d *archiveStatusDoc) add(c *cli.Call, a *archive.Archive) error {
	catalog, err := a.Catalog(c.Context())
	if err != nil {
		return err
	}
	if len(catalog.Epochs) == 0 {
		if err := c.CheckNode(a); err != nil {
			return err
		}
	}
	v := storeStatusView{URL: a.Store().URL(), Segments: len(catalog.Segments), Bases: len(catalog.Bases), Gaps: len(catalog.Gaps), Foreign: len(catalog.Foreign)}
	if n := len(catalog.Epochs); n > 0 {
		e := catalog.Epochs[n-1]
		v.Writer, v.Host = e.Epoch, e.Host
	}
	for _, s := range catalog.Segments {
		v.Bytes += s.Size
	}
	for _, w := range catalog.Windows() {
		v.LSN = max(v.LSN, w.To)
	}
	if d.Local != 0 {
		v.Behind = new(uint64(d.Local - min(v.LSN, d.Local)))
	}
	d.Stores = append(d.Stores, v)
	pins, err := archive.ReadPins(c.Context(), a.Store(), a.NodeID())
	d.Pins = append(d.Pins, pins...)
	return err
}

func (d *archiveStatusDoc) write(w io.Writer) error {
	rows := [][]string{{"STORE", "ARCHIVED LSN", "BEHIND", "EPOCH", "HOST", "SEGMENTS", "SIZE", "BASES", "GAPS"}}
	for _, s := range d.Stores {
		behind := "-"
		if s.Behind != nil {
			behind = cli.FormatCount(*s.Behind)
		}
		rows = append(rows, []string{s.URL, s.LSN.String(), behind, s.Writer.String(), s.Host,
			strconv.Itoa(s.Segments), cli.FormatSize(s.Bytes), strconv.Itoa(s.Bases), strconv.Itoa(s.Gaps)})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	for _, p := range d.Pins {
		if _, err := fmt.Fprintf(w, "pin %q holds LSN %d of timeline %d: %s\n", p.Name, p.LSN, p.Timeline, p.Reason); err != nil {
			return err
		}
	}
	return nil
}
