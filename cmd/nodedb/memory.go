package main

import (
	"os"
	"runtime/debug"

	"github.com/nodedb-go/nodedb/node"
)

// workingBytes is what requests, their answers, tables that are being written and
// compactions take, roughly.
const workingBytes = 256 << 20

// limitMemory lets garbage not double what the node keeps: the collector works the
// more, the nearer the process comes to what its options allow. It is no hard
// limit. Whoever sets GOMEMLIMIT knows better.
func limitMemory(n *node.Node) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n.MemoryBytes() + workingBytes)
	}
}
