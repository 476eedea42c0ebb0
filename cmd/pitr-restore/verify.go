package main

import (
	"github.com/nodedb-go/nodedb/internal/cli"
)

func verifyVerb() *cli.Verb {
	return &cli.Verb{
		Name: "verify", Category: "Restore", Usage: "read every object of the archive again and check all that can be checked",
		Flags: append(archiveFlags(), cli.VerifyFlags("none")...),
		Run:   cli.RunArchiveVerify,
	}
}
