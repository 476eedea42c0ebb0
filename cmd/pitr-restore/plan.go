package main

import (
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/pitr"
)

func planVerb() *cli.Verb {
	return &cli.Verb{
		Name: "plan", Category: "Restore", Usage: "show what a restore would read, without doing anything",
		Description: `Objects, bytes, requests, what is in cold storage, and an estimate of the time:
from the pace that is given, from a sample that --measure reads, or from the
assumption of a store nearby.`,
		Flags: append(targetFlags(),
			cli.SizeFlag("throughput", 0, "`SIZE` that all downloads together fetch in a second"),
			&ucli.BoolFlag{Name: "measure", Usage: "read a sample of the plan's objects (at most 64 MiB, 3 s) and estimate from it"},
			&ucli.IntFlag{Name: "parallel", Value: 4, Usage: "downloads at a time"},
		),
		Run: runPlan,
	}
}

func runPlan(c *cli.Call) error {
	if c.Int("parallel") < 1 {
		return cli.Usagef("--parallel is %d, want 1 or more", c.Int("parallel"))
	}
	if c.Bool("measure") && c.Size("throughput") != 0 {
		return cli.Usagef("--measure and --throughput are two answers to one question: give one")
	}
	pace := pitr.Pace{Parallel: c.Int("parallel"), BytesPerSecond: c.Size("throughput")}
	if pace.BytesPerSecond != 0 {
		pace.Source = "given"
	}
	plan, stores, err := makePlanWith(c, &pitr.PlanOptions{Pace: pace, Contents: true})
	if err != nil {
		return err
	}
	defer stores.Close()
	if c.Bool("measure") {
		if err := plan.Measure(c.Context()); err != nil {
			return err
		}
	}
	return c.Answer(plan, plan.WriteText)
}
