package index

import (
	"context"
	"io"

	"github.com/nodedb-go/nodedb/lambda/function"
)

// Configure makes a handler as the environment says, which is what function.Open
// reads. Logs and metrics go to out. Close the handler's store.
func Configure(ctx context.Context, env function.Env, out io.Writer) (*Handler, error) {
	a, err := function.Open(ctx, env, out)
	if err != nil {
		return nil, err
	}
	return &Handler{Store: a.Store, Bucket: a.Bucket, Prefix: a.Prefix, Archive: a.Name,
		Identities: a.Identities, RevealEncrypted: a.RevealEncrypted, Logger: a.Logger, Metrics: a.Out}, nil
}
