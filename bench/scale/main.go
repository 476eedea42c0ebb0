package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/internal/cost"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "scale:", err)
		}
		os.Exit(1)
	}
}

// report is the JSON document.
type report struct {
	Measured  measured     `json:"measured"`
	Day       day          `json:"day"`
	Class     cost.Class   `json:"class"`
	Prices    *cost.Prices `json:"prices"`
	Estimates []estimate   `json:"estimates"`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		asJSON  = flags.Bool("json", false, "write one JSON document")
		fleet   = flags.String("nodes", "1,1000,100000", "`numbers` of nodes that share the bucket")
		d       = day{Bases: 1}
		records = flags.Int("records", 100, "records of 128 bytes in each segment")
		long    = flags.Int("long", 200, "segments of the longer of two lives that are compared")
	)
	flags.IntVar(&d.Segments, "segments", 1440, "segments that a node archives in a day: one a minute is a node that writes all the time")
	flags.IntVar(&d.KeepDays, "keep", 30, "days of history that are kept")
	flags.DurationVar(&d.Sweep, "sweep", 15*time.Minute, "between two sweeps of a node")
	flags.BoolVar(&d.Merged, "merge", true, "small segments are merged each night")
	class := flags.String("class", "STANDARD", "storage class of S3, as `nodedb archive cost` has it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if d.Segments < 1 || d.KeepDays < 1 || d.Sweep <= 0 || *records < 1 || *long < 20 {
		return errors.New("-segments, -keep, -sweep and -records must be above 0, -long 20 or more")
	}
	prices, err := cost.ListPrices()
	if err != nil {
		return err
	}
	rep := report{Day: d, Prices: prices}
	if rep.Class, err = prices.Find("s3", *class); err != nil {
		return err
	}
	if rep.Measured, err = measure(ctx, *long/10, *long, *records); err != nil {
		return err
	}
	for _, text := range strings.Split(*fleet, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return fmt.Errorf("-nodes: %q is no number of nodes", text)
		}
		rep.Estimates = append(rep.Estimates, of(rep.Measured, d, n, rep.Class))
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	return writeText(stdout, rep)
}

func writeText(w io.Writer, r report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "COUNTED, EACH\tPUT\tGET, HEAD\tLIST\tDELETE\tCPU\n")
	for _, row := range []struct {
		name string
		u    unit
	}{
		{"start of a node", r.Measured.Start}, {"segment archived", r.Measured.Segment}, {"base", r.Measured.Base},
		{"segment indexed", r.Measured.Index}, {"sweep", r.Measured.Sweep}, {"  new segment in it", r.Measured.Footer},
		{"segment merged", r.Measured.Merge}, {"  pack", r.Measured.Pack},
	} {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f ms\n", row.name, row.u.Puts, row.u.Gets, row.u.Lists, row.u.Deletes, row.u.Seconds*1000)
	}
	fmt.Fprintf(t, "\nA DAY OF\tREQUESTS\tA SECOND\tINVOCATIONS\tSECONDS\tAT ONCE\tREQUESTS\tFUNCTIONS\tSTORAGE\t%s\tA NODE\n", r.Prices.Currency)
	for _, e := range r.Estimates {
		var all part
		for _, p := range e.Parts {
			all.Requests = all.Requests.plus(p.Requests)
			all.Invocations, all.Seconds = all.Invocations+p.Invocations, all.Seconds+p.Seconds
			all.RequestsUSD, all.FunctionUSD = all.RequestsUSD+p.RequestsUSD, all.FunctionUSD+p.FunctionUSD
		}
		fmt.Fprintf(t, "%d nodes\t%.0f\t%.1f\t%.0f\t%.0f\t%.2f\t%.4g\t%.4g\t%.4g\t%.4g\t%.4f\n", e.Nodes, all.Requests.requests(), e.RequestsPerSecond,
			all.Invocations, all.Seconds, e.FunctionsAtOnce, all.RequestsUSD, all.FunctionUSD, e.StorageUSD, e.USD, e.PerNodeUSD)
	}
	last := r.Estimates[len(r.Estimates)-1]
	fmt.Fprintf(t, "\nOF %d NODES\tPUT\tGET, HEAD\tLIST\tDELETE\tINVOCATIONS\tSECONDS\tREQUESTS\tFUNCTIONS\n", last.Nodes)
	for _, p := range last.Parts {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.4g\t%.4g\n", p.Name, p.Requests.Puts, p.Requests.Gets, p.Requests.Lists,
			p.Requests.Deletes, p.Invocations, p.Seconds, p.RequestsUSD, p.FunctionUSD)
	}
	fmt.Fprintf(t, "\n%d segments a day and node, %d B each and %d B of index; %d days kept; %s; a sweep every %s; list prices, check yours\n", r.Day.Segments,
		r.Measured.SegmentBytes, r.Measured.IndexBytes, r.Day.KeepDays, merged(r.Day.Merged), r.Day.Sweep)
	return t.Flush()
}

func merged(yes bool) string {
	if yes {
		return "merged each night"
	}
	return "never merged"
}
