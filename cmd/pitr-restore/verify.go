package main

import (
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
)

func verifyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "verify", Category: "Restore", Usage: "read every object of the archive again and check all that can be checked",
		Flags: append(archiveFlags(), &ucli.IntFlag{Name: "parallel", Value: 4, Usage: "objects read at a time"}),
		Run:   cli.RunArchiveVerify,
	}
}
