package main

import "github.com/nodedb-go/nodedb/internal/cli"

func catalogVerb() *cli.Verb {
	return &cli.Verb{
		Name: "catalog", Category: careCategory, Usage: "keep an archive easy to ask: what the functions in the cloud do, by hand",
		Verbs: []*cli.Verb{catalogIndexVerb(), catalogWatchVerb(), catalogSweepVerb(), catalogCompactVerb()},
	}
}
