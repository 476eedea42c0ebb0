// Command nodedb runs and serves a nodedb node from the command line: it reads
// and writes its keys, loads and exports them, looks after its log and its
// archive, and shows with `nodedb demo` what it promises.
package main

import "github.com/nodedb-go/nodedb/internal/cli"

func main() { cli.Main(newApp()) }

// newApp builds the command; flags keep their values, so each run has its own.
func newApp() *cli.App {
	return &cli.App{
		Name:  "nodedb",
		Usage: "an embedded database node that archives before it truncates",
		Description: `A node is a directory, named with --dir or NODEDB_DIR. Its archive is a blob
store, named with --archive or NODEDB_ARCHIVE. nodedb demo shows all of it in one
run on real data; pitr-restore brings a node back from its archive.

Exit codes: 0 done, 1 error, 2 usage, 3 corrupt data, 4 target outside the
window, 5 gap, 6 store unreachable, 7 fenced, 8 cold storage.`,
		Classifiers: []cli.Classifier{classifyNode, cli.ClassifyStorage},
		Verbs: []*cli.Verb{
			demoVerb(), demoWriterVerb(), serveVerb(),
			putVerb(), getVerb(), delVerb(), incrVerb(), scanVerb(), loadVerb(), exportVerb(),
			checkpointVerb(), backupVerb(), restorePointVerb(), digestVerb(), statusVerb(), topVerb(),
			notAsked(walVerb()), notAsked(archiveVerb()), notAsked(catalogVerb()), benchVerb(),
			cli.CompletionVerb("nodedb"), manualVerb(),
		},
	}
}

// Categories of the help text.
const (
	keysCategory = "Keys"
	nodeCategory = "Node"
	careCategory = "Log and archive"
	tryCategory  = "Try"
)
