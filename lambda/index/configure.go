package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"gocloud.dev/secrets"

	"github.com/nodedb-go/nodedb/archive"
)

// Configure makes a handler as the environment says:
//
//	NODEDB_ARCHIVE           URL of the archive; required
//	NODEDB_REVEAL_ENCRYPTED  "true": index encrypted segments too, in plain
//	NODEDB_AGE_IDENTITY      path of an identity file, wrapped by a key service or not
//	NODEDB_AGE_IDENTITY_KMS  URL of the key service that wrapped it
//
// It makes no request but to the key service. Logs and metrics go to out. Close
// the handler's store.
func Configure(ctx context.Context, env func(string) string, out io.Writer) (*Handler, error) {
	raw := env("NODEDB_ARCHIVE")
	if raw == "" {
		return nil, errors.New("NODEDB_ARCHIVE is not set: give the URL of the archive, for example s3://bucket/prefix?region=eu-central-1")
	}
	h := &Handler{Logger: slog.New(slog.NewJSONHandler(out, nil)), Metrics: out}
	switch v := env("NODEDB_REVEAL_ENCRYPTED"); v {
	case "", "false":
	case "true":
		h.RevealEncrypted = true
	default:
		return nil, fmt.Errorf("NODEDB_REVEAL_ENCRYPTED is %q, want true or false", v)
	}
	var err error
	if h.Bucket, h.Prefix, err = archive.Place(raw); err != nil {
		return nil, err
	}
	if h.Identities, err = identities(ctx, env); err != nil {
		return nil, err
	}
	h.Store, _, err = archive.OpenStore(ctx, raw)
	return h, err
}

// identities reads and unwraps the identity file, if there is one.
func identities(ctx context.Context, env func(string) string) (*archive.Identities, error) {
	name := env("NODEDB_AGE_IDENTITY")
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read NODEDB_AGE_IDENTITY: %w", err)
	}
	defer clear(data)
	if !archive.Wrapped(data) {
		return archive.ParseIdentities(bytes.NewReader(data))
	}
	keeper, err := secrets.OpenKeeper(ctx, env("NODEDB_AGE_IDENTITY_KMS"))
	if err != nil {
		// The URL may hold a key, so it is not shown.
		return nil, errors.New("the identity file is wrapped, and NODEDB_AGE_IDENTITY_KMS is no URL of a key service that this program knows")
	}
	ids, err := archive.UnwrapIdentities(ctx, keeper, data)
	return ids, errors.Join(err, keeper.Close())
}
