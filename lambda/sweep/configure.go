package sweep

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/lambda/function"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// What an invocation does if the environment does not say.
const (
	verifyBytes     = 1 << 30
	verifyEvery     = 24 * time.Hour
	verifyOlderThan = 30 * 24 * time.Hour
	drillEvery      = 7 * 24 * time.Hour
)

// Configure makes a handler as the environment says: what function.Open reads, and
//
//	NODEDB_NODE               ids of the nodes, with commas; default: all
//	NODEDB_STALE_AFTER        for how long nothing new may come; 0, the default: for ever
//	NODEDB_VERIFY_BYTES       budget of verification; default 1 GiB, 0: none
//	NODEDB_VERIFY_EVERY       how often it is spent; default 24h
//	NODEDB_VERIFY_OLDER_THAN  what was verified within that time is left out; default 720h
//	NODEDB_DRILL_BYTES        what a restore may fetch for a node to be drilled; 0, the default: no drill
//	NODEDB_DRILL_EVERY        how often; default 168h
//	NODEDB_NODE_METRICS       "false": no metrics of single nodes, which cost by the node
//
// Logs and metrics go to out. Close the handler's archive.
func Configure(ctx context.Context, env function.Env, out io.Writer) (*Handler, error) {
	h := &Handler{Nodes: env.List("NODEDB_NODE")}
	var errs [7]error
	o := &h.Options
	o.StaleAfter, errs[0] = env.Duration("NODEDB_STALE_AFTER", 0)
	o.VerifyBytes, errs[1] = env.Bytes("NODEDB_VERIFY_BYTES", verifyBytes)
	o.VerifyEvery, errs[2] = env.Duration("NODEDB_VERIFY_EVERY", verifyEvery)
	o.VerifyOlderThan, errs[3] = env.Duration("NODEDB_VERIFY_OLDER_THAN", verifyOlderThan)
	o.DrillBytes, errs[4] = env.Bytes("NODEDB_DRILL_BYTES", 0)
	o.DrillEvery, errs[5] = env.Duration("NODEDB_DRILL_EVERY", drillEvery)
	h.NodeMetrics, errs[6] = env.Bool("NODEDB_NODE_METRICS", true)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	if h.Archive, err = function.Open(ctx, env, out); err != nil {
		return nil, err
	}
	o.Index = &index.Options{Decode: kv.Changes, RevealEncrypted: h.Archive.RevealEncrypted}
	o.DrillDir, o.Tool = os.TempDir(), "lambda/sweep"
	return h, nil
}
