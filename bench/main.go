package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// report is the JSON document.
type report struct {
	Time    time.Time `json:"time"`
	Machine string    `json:"machine"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Quick   bool      `json:"quick"`
	Rows    []Row     `json:"rows"`
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == childArg {
		return runChild(args[1], stdin, stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		quick   = flags.Bool("quick", false, "small sizes and short slices: a first look, not for quoting")
		jsonOut = flags.String("json", "", "also write the rows to this `file` as JSON")
		svgOut  = flags.String("svg", "", "also draw the rows into this `file` as SVG")
		svgIn   = flags.String("from", "", "measure nothing, take the rows from this JSON `file`")
		only    = flags.String("only", "", "measure the rows that match this `regexp`")
		dir     = flags.String("dir", "", "keep the data below this `directory`, on the disk to measure (default: the system's temporary directory)")
		profile = flags.String("profile", "", "write CPU profiles of both sides of each row into this `directory`, from a slice that does not count")
		pairs   = flags.Int("pairs", 0, "pairs of slices for each row (default 5, quick 3)")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	var rep report
	if *svgIn != "" {
		err = readJSON(*svgIn, &rep)
	} else {
		rep, err = measureInto(*dir, func(dir string) *bench {
			b := newBench(dir, *quick, stderr)
			b.profiles = *profile
			if *pairs > 0 {
				b.pairs = *pairs
			}
			return b
		}, pattern)
	}
	if err != nil {
		return err
	}
	return publish(rep, *jsonOut, *svgOut, stdout)
}

// measureInto runs the benchmark that configure makes, on data below dir, and
// removes the data.
func measureInto(dir string, configure func(dir string) *bench, only *regexp.Regexp) (rep report, err error) {
	data, err := os.MkdirTemp(dir, "nodedb-bench-")
	if err != nil {
		return rep, fmt.Errorf("make data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	b := configure(data)
	defer b.killAll()
	rep = report{Time: time.Now().UTC(), Machine: machine(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Quick: b.quick}
	b.measureAll(only, func(r Row) {
		b.logf("= %s: ratio %s (%s–%s) goal %s %s %s", r.Name, short(r.Ratio), short(r.Low), short(r.High), r.Goal, r.Reached(), r.Error)
		rep.Rows = append(rep.Rows, r)
	})
	if len(rep.Rows) == 0 {
		return rep, fmt.Errorf("no row matches %q", only)
	}
	return rep, nil
}

// publish prints the table and writes the files that were asked for.
func publish(rep report, jsonOut, svgOut string, stdout io.Writer) error {
	size := "full sizes"
	if rep.Quick {
		size = "quick: sizes shrunk, not for quoting"
	}
	fmt.Fprintf(stdout, "%d × %s, %s; %s\n\n", rep.CPUs, rep.Machine, rep.Go, size)
	err := writeTable(stdout, rep.Rows)
	if jsonOut != "" {
		b, e := json.MarshalIndent(rep, "", "  ")
		err = errors.Join(err, e, os.WriteFile(jsonOut, append(b, '\n'), 0o644))
	}
	if svgOut != "" {
		err = errors.Join(err, os.WriteFile(svgOut, drawSVG(rep), 0o644))
	}
	return err
}

func readJSON(name string, rep *report) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	if err := json.Unmarshal(b, rep); err != nil {
		return fmt.Errorf("read rows from %s: %w", name, err)
	}
	return nil
}
