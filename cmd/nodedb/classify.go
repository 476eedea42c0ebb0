package main

import (
	"errors"
	"strings"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/resp/client"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// classifyNode knows the errors of a node.
func classifyNode(err error) (cli.Code, string, bool) {
	switch {
	case errors.Is(err, node.ErrNotANode):
		return cli.CodeError, "name the directory of a node; serve, load and put create one in an empty or absent directory", true
	case errors.Is(err, node.ErrStandby):
		return cli.CodeError, "make a node of it with pitr-restore promote --dir DIR --archive URL", true
	case errors.Is(err, node.ErrNewerFormat):
		return cli.CodeError, "use the version of nodedb that wrote it, or a newer one", true
	case errors.Is(err, node.ErrLocked):
		return cli.CodeError, "only one process may have a node open", true
	case errors.Is(err, node.ErrMissingLog):
		return cli.CodeCorrupt, "restore the node from its archive with pitr-restore", true
	case errors.Is(err, node.ErrKeyEmpty), errors.Is(err, node.ErrKeyTooLarge), errors.Is(err, node.ErrValueTooLarge):
		return cli.CodeUsage, "keys have 1 byte to 64 KiB, values up to 15.9 MiB; nothing was changed", true
	case errors.Is(err, node.ErrPointName):
		return cli.CodeUsage, "", true
	case errors.Is(err, node.ErrNoArchive):
		return cli.CodeUsage, "give --archive URL", true
	case errors.Is(err, node.ErrReadOnly):
		return cli.CodeError, "see the log for the failed operation; what was acknowledged is on disk, open the node again", true
	}
	if told, ok := errors.AsType[client.Error](err); ok {
		code, _, _ := strings.Cut(string(told), " ")
		switch code {
		case "NOAUTH", "WRONGPASS":
			return cli.CodeError, "say who asks with --user NAME and --password-file FILE", true
		case "NOPERM":
			return cli.CodeError, "the rights of users are in the file of serve's --users", true
		}
	}
	if _, ok := errors.AsType[*wal.CorruptError](err); ok && !errors.Is(err, archive.ErrCorrupt) {
		return cli.CodeCorrupt, "look with nodedb wal verify; restore the node from its archive, or give up what cannot be read with nodedb wal salvage", true
	}
	if _, ok := errors.AsType[*engine.MetaError](err); ok {
		return cli.CodeCorrupt, "", true
	}
	return 0, "", false
}
