// Command pitr-restore brings a nodedb node back to any point of its archived
// history, and shows what that history holds.
//
// It needs nothing but the archive: no running node, no index, no catalog. It
// changes nothing in the archive; a drill adds its proof, and thaw asks the store
// for readable copies of what is in cold storage.
package main

import (
	"github.com/nodedb-go/nodedb/internal/cli"
)

func main() { cli.Main(newApp()) }

// newApp builds the command; flags keep their values, so each run has its own.
func newApp() *cli.App {
	return &cli.App{
		Name:  "pitr-restore",
		Usage: "point-in-time restore of nodedb nodes from their archive",
		Description: `The archive is named with --archive URL, the node in it with --node-id (not
needed when the archive holds one node). A restore builds a complete node
directory beside the target, proves it, and renames it into place.

Exit codes: 0 done, 1 error, 2 usage, 3 corrupt data, 4 target outside the
window, 5 gap, 6 store unreachable, 7 ambiguous timeline, 8 cold storage.`,
		Classifiers: []cli.Classifier{cli.ClassifyStorage},
		Verbs: []*cli.Verb{
			windowsVerb(), timelinesVerb(), catVerb(), historyVerb(), getVerb(), grepVerb(), diffVerb(),
			planVerb(), explainVerb(), thawVerb(), restoreVerb(), promoteVerb(), drillVerb(), verifyVerb(),
			cli.CompletionVerb("pitr-restore"),
		},
	}
}
