package compact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/function"
)

// Configure makes a handler as the environment says: what function.Open reads, and
//
//	NODEDB_NODE           ids of the nodes, with commas; default: all
//	NODEDB_DELETE_SMALL   "true": delete segments that a proven pack holds
//	NODEDB_GRACE          how old such a pack is at least; default 24h
//	NODEDB_AGE_RECIPIENT  for whom the encrypted segments are that are merged, with
//	                      commas; they need NODEDB_AGE_IDENTITY
//
// Logs and metrics go to out. Close the handler's archive.
func Configure(ctx context.Context, env function.Env, out io.Writer) (*Handler, error) {
	h := &Handler{Nodes: env.List("NODEDB_NODE")}
	var errs [3]error
	h.Segments.DeleteSmall, errs[0] = env.Bool("NODEDB_DELETE_SMALL", false)
	h.Segments.Grace, errs[1] = env.Duration("NODEDB_GRACE", 24*time.Hour)
	if h.Segments.Grace == 0 {
		h.Segments.Grace = -1 // none
	}
	if to := env.List("NODEDB_AGE_RECIPIENT"); len(to) > 0 {
		h.Segments.Recipients, errs[2] = archive.ParseRecipients(to...)
		if errs[2] != nil {
			errs[2] = fmt.Errorf("NODEDB_AGE_RECIPIENT: %w", errs[2])
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	if h.Archive, err = function.Open(ctx, env, out); err != nil {
		return nil, err
	}
	h.Indexes.Dir = os.TempDir()
	return h, nil
}
