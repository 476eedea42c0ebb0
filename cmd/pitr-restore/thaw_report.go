package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/cost"
	"github.com/nodedb-go/nodedb/pitr"
)

// thawDoc is the report with sums and prices.
type thawDoc struct {
	*pitr.ThawReport
	Ready    bool        `json:"ready"`
	Classes  []thawClass `json:"classes"`
	Offers   []thawOffer `json:"offers"` // for what is frozen, or was asked for by this run
	Currency string      `json:"currency"`
	Source   string      `json:"prices"`
	Until    time.Time   `json:"until,omitzero"` // the first copy ends then
}

type thawClass struct {
	Class    archive.StorageClass `json:"class"`
	Objects  int                  `json:"objects"`
	Bytes    int64                `json:"bytes"`
	Frozen   int                  `json:"frozen"`
	UnderWay int                  `json:"under_way"`
	Readable int                  `json:"readable"`

	cloud string
	due   int // frozen, or asked for by this run
	bytes int64
}

// thawOffer is a tier that all classes have.
type thawOffer struct {
	Tier          archive.ThawTier `json:"tier"`
	WithinSeconds float64          `json:"within_seconds"`
	Priced        bool             `json:"priced"` // the table has prices for it
	cost.Thaw
}

func newThawDoc(r *pitr.ThawReport, prices *cost.Prices) *thawDoc {
	d := &thawDoc{ThawReport: r, Ready: r.Ready(), Classes: []thawClass{}, Offers: []thawOffer{}, Currency: prices.Currency,
		Source: prices.Source + ", " + prices.AsOf}
	for i := range r.Objects {
		d.add(&r.Objects[i])
	}
	for _, tier := range []archive.ThawTier{archive.ThawExpedited, archive.ThawStandard, archive.ThawBulk} {
		if o, ok := d.offer(tier, prices); ok {
			d.Offers = append(d.Offers, o)
		}
	}
	return d
}

func (d *thawDoc) add(o *pitr.ThawObject) {
	class := o.Class.Kind()
	cloud, _, _ := strings.Cut(o.Store, "://")
	at := slices.IndexFunc(d.Classes, func(c thawClass) bool { return c.Class == class && c.cloud == cloud })
	if at < 0 {
		at = len(d.Classes)
		d.Classes = append(d.Classes, thawClass{Class: class, cloud: cloud})
	}
	c := &d.Classes[at]
	c.Objects, c.Bytes = c.Objects+1, c.Bytes+o.Bytes
	switch o.State {
	case archive.Frozen:
		c.Frozen++
	case archive.Thawing:
		c.UnderWay++
	default:
		c.Readable++
	}
	if o.State == archive.Frozen || o.Asked {
		c.due, c.bytes = c.due+1, c.bytes+o.Bytes
	}
	if !o.Until.IsZero() && (d.Until.IsZero() || o.Until.Before(d.Until)) {
		d.Until = o.Until
	}
}

// offer is a tier for all that is due, if each class has it.
func (d *thawDoc) offer(tier archive.ThawTier, prices *cost.Prices) (thawOffer, bool) {
	out, any := thawOffer{Tier: tier, Priced: true}, false
	for _, c := range d.Classes {
		if c.due == 0 {
			continue
		}
		slow, has := offered(c.Class, tier)
		if !has {
			return out, false
		}
		any = true
		out.WithinSeconds = max(out.WithinSeconds, slow.Seconds())
		price, ok := prices.OfThaw(c.cloud, string(c.Class), string(tier), c.due, c.bytes, d.Days)
		out.Priced = out.Priced && ok
		out.Add(price)
	}
	return out, any
}

func offered(class archive.StorageClass, tier archive.ThawTier) (time.Duration, bool) {
	for _, o := range archive.ThawOffers(class) {
		if o.Tier == tier {
			return o.Within, true
		}
	}
	return 0, false
}

// slowest is how long all that is under way takes in a tier. It may have been
// asked for in another one; no store tells.
func (d *thawDoc) slowest(tier archive.ThawTier) time.Duration {
	var out time.Duration
	for _, c := range d.Classes {
		if slow, ok := offered(c.Class, tier); ok && c.UnderWay > 0 {
			out = max(out, slow)
		}
	}
	return out
}

func within(d time.Duration) string {
	if d >= time.Hour {
		return cli.Plural(int(d.Hours()), "hour")
	}
	return cli.Plural(int(d.Minutes()), "minute")
}

func writeThaw(w io.Writer, d *thawDoc) error {
	if len(d.Objects) == 0 {
		_, err := fmt.Fprintf(w, "node %s to %s: nothing that a restore needs is in cold storage\n", d.NodeID, d.Target)
		return err
	}
	what := "what a restore needs from cold storage"
	if !d.Complete {
		what = "what must be readable to find the target; the restore may need more"
	}
	if _, err := fmt.Fprintf(w, "node %s to %s: %s\n", d.NodeID, d.Target, what); err != nil {
		return err
	}
	rows := [][]string{{"CLASS", "OBJECTS", "SIZE", "FROZEN", "UNDER WAY", "READABLE"}}
	for _, c := range d.Classes {
		rows = append(rows, []string{string(c.Class), cli.FormatCount(c.Objects), cli.FormatSize(c.Bytes),
			cli.FormatCount(c.Frozen), cli.FormatCount(c.UnderWay), cli.FormatCount(c.Readable)})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	if err := writeOffers(w, d); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, thawEnd(d))
	return err
}

func writeOffers(w io.Writer, d *thawDoc) error {
	if len(d.Offers) == 0 {
		return nil
	}
	rows := [][]string{{"TIER", "READABLE WITHIN", "REQUESTS", "RETRIEVAL", fmt.Sprintf("COPIES FOR %d D", d.Days), d.Currency, ""}}
	for _, o := range d.Offers {
		money := func(f float64) string {
			if !o.Priced {
				return "-"
			}
			return fmt.Sprintf("%.4f", f)
		}
		chosen := ""
		if o.Tier == d.Tier {
			chosen = "--tier"
		}
		rows = append(rows, []string{string(o.Tier), within(time.Duration(o.WithinSeconds) * time.Second), money(o.Requests), money(o.Retrieval),
			money(o.Copies), money(o.Total), chosen})
	}
	if err := cli.Table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "times as AWS documents them; list prices, check yours: %s\n", d.Source)
	return err
}

func thawEnd(d *thawDoc) string {
	frozen, _ := d.Count(archive.Frozen)
	switch {
	case d.Ready && !d.Until.IsZero():
		return "all can be read, until " + cli.FormatTime(d.Until)
	case d.Ready:
		return "all can be read"
	case !d.Applied && frozen > 0:
		return "nothing was asked for; --apply does it"
	case !d.Applied:
		return "all is under way"
	}
	return was(d.Asked) + " asked for"
}
