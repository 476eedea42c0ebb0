package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/cost"
)

func archiveCostVerb() *cli.Verb {
	return &cli.Verb{
		Name: "cost", Usage: "estimate what the archive costs in a month, and what it would cost otherwise",
		Description: `Objects and bytes are counted; prices are a table that comes with the program
(list prices, check yours) or your own with --prices. --what-if compares storage
classes and archive timeouts; other flags change the one that they name.`,
		Flags: append(lookFlags(),
			cli.PricesFlag(),
			&ucli.BoolFlag{Name: "what-if", Usage: "compare with all storage classes, an archive timeout of 1s, and merged segments"},
			&ucli.DurationFlag{Name: "archive-timeout", Usage: "what if segments left after `DURATION`, with writes all the time"},
			&ucli.BoolFlag{Name: "compact", Usage: "what if small segments were merged"},
			&ucli.StringFlag{Name: "storage-class", Usage: "what if everything were in `CLASS`"},
			&ucli.DurationFlag{Name: "keep-within", Usage: "what if only the last `DURATION` were kept"},
		),
		Run: runArchiveCost,
	}
}

type costDoc struct {
	NodeID    string          `json:"node_id"`
	Store     string          `json:"store"`
	Prices    *cost.Prices    `json:"prices"`
	Facts     cost.Facts      `json:"facts"`
	Estimates []cost.Estimate `json:"estimates"` // the first is as it is
}

func runArchiveCost(c *cli.Call) error {
	prices, err := c.Prices()
	if err != nil {
		return err
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	docs := []costDoc{}
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		d := costDoc{NodeID: a.NodeID(), Store: a.Store().URL(), Prices: prices}
		if d.Facts, err = cost.Count(c.Context(), a); err != nil {
			return err
		}
		if err := d.estimate(c); err != nil {
			return err
		}
		docs = append(docs, d)
	}
	return c.Answer(struct {
		Stores []costDoc `json:"stores"`
	}{docs}, func(w io.Writer) error {
		for i := range docs {
			if err := docs[i].write(w); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *costDoc) estimate(c *cli.Call) error {
	cloud, _, _ := strings.Cut(d.Store, "://")
	first := d.Prices.Of(cloud)[0]
	add := func(name string, class cost.Class, ch cost.Change) {
		d.Estimates = append(d.Estimates, cost.Of(name, d.Facts, class, ch))
	}
	add("as it is", first, cost.Change{})
	class, changed := first, c.Bool("compact") || c.IsSet("archive-timeout") || c.IsSet("keep-within")
	if name := c.String("storage-class"); name != "" {
		var err error
		if class, err = d.Prices.Find(cloud, name); err != nil {
			return cli.Usagef("--storage-class: %w", err)
		}
		changed = true
	}
	ch := cost.Change{ArchiveTimeout: c.Duration("archive-timeout"), Compact: c.Bool("compact"), KeepWithin: c.Duration("keep-within")}
	if ch.ArchiveTimeout < 0 || ch.KeepWithin < 0 {
		return cli.Usagef("--archive-timeout and --keep-within must not be negative")
	}
	if changed {
		add("with your flags", class, ch)
	}
	if !c.Bool("what-if") {
		return nil
	}
	for _, other := range d.Prices.Of(cloud)[1:] {
		add("class "+other.Name, other, ch)
	}
	second := cost.Change{ArchiveTimeout: time.Second, KeepWithin: ch.KeepWithin}
	add("--archive-timeout 1s", class, second)
	second.Compact = true
	add("  and --compact", class, second)
	return nil
}

func (d *costDoc) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "node %s in %s: %s, %s of them segments, %s in all\n", d.NodeID, d.Store,
		cli.Plural(d.Facts.Segments+d.Facts.Others, "object"), cli.FormatCount(d.Facts.Segments), cli.FormatSize(d.Facts.SegmentBytes+d.Facts.OtherBytes))
	if err != nil {
		return err
	}
	rows := [][]string{{"", "CLASS", "OBJECTS", "CHARGED", "WRITES", "READS", "STORAGE", "REQUESTS", "A MONTH", "A RESTORE", "OUT OF CLOUD"}}
	money := func(f float64) string { return fmt.Sprintf("%.4f", f) }
	for _, e := range d.Estimates {
		rows = append(rows, []string{e.Name, e.Class, cli.FormatCount(int64(e.Objects)), cli.FormatSize(int64(e.Charged)),
			cli.FormatCount(int64(e.Writes)), cli.FormatCount(int64(e.Reads)), money(e.Storage), money(e.Requests), money(e.Month), money(e.Restore), "+" + money(e.Out)})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s; list prices, check yours: %s, %s\n", d.Prices.Currency, d.Prices.Source, d.Prices.AsOf)
	return err
}
