package main

import "github.com/nodedb-go/nodedb/internal/cli"

func planVerb() *cli.Verb {
	return &cli.Verb{
		Name: "plan", Category: "Restore", Usage: "show what a restore would read, without doing anything",
		Flags: targetFlags(), Run: runPlan,
	}
}

func runPlan(c *cli.Call) error {
	plan, stores, err := makePlan(c)
	if err != nil {
		return err
	}
	defer stores.Close()
	return c.Answer(plan, plan.WriteText)
}
