package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"gocloud.dev/secrets"

	"github.com/nodedb-go/nodedb/archive"
)

// Archive is what a function works on.
type Archive struct {
	Store archive.Store
	// Name is bucket/prefix, or the bucket alone: see Name.
	Name string
	// Bucket and Prefix are where the store's own events name its objects.
	Bucket, Prefix string
	// Identities open encrypted segments, and RevealEncrypted lets them be indexed
	// in plain: see archive/index.
	Identities      *archive.Identities
	RevealEncrypted bool
	// Logger and Out, for metrics, are those that were given.
	Logger *slog.Logger
	Out    io.Writer
}

// Close closes the store.
func (a *Archive) Close() error { return a.Store.Close() }

// Open opens the archive that the environment names:
//
//	NODEDB_ARCHIVE           URL of the archive; required
//	NODEDB_REVEAL_ENCRYPTED  "true": index encrypted segments too, in plain
//	NODEDB_AGE_IDENTITY      path of an identity file, wrapped by a key service or not
//	NODEDB_AGE_IDENTITY_KMS  URL of the key service that wrapped it
//
// Logs, as JSON, and metrics go to out.
func Open(ctx context.Context, env Env, out io.Writer) (*Archive, error) {
	raw := env("NODEDB_ARCHIVE")
	if raw == "" {
		return nil, errors.New("NODEDB_ARCHIVE is not set: give the URL of the archive, for example s3://bucket/prefix?region=eu-central-1")
	}
	a := &Archive{Logger: slog.New(slog.NewJSONHandler(out, nil)), Out: out}
	var err error
	if a.RevealEncrypted, err = env.Bool("NODEDB_REVEAL_ENCRYPTED", false); err != nil {
		return nil, err
	}
	if a.Bucket, a.Prefix, err = archive.Place(raw); err != nil {
		return nil, err
	}
	if a.Identities, err = identities(ctx, env); err != nil {
		return nil, err
	}
	if a.Store, _, err = archive.OpenStore(ctx, raw); err != nil {
		return nil, err
	}
	a.Name = Name(a.Bucket, a.Prefix)
	if a.Name == "" {
		a.Name = a.Store.URL()
	}
	return a, nil
}

// Name is what metrics call the archive below prefix, which ends with a slash or
// is empty, in a bucket.
func Name(bucket, prefix string) string {
	return strings.TrimSuffix(bucket+"/"+prefix, "/")
}

// identities reads and unwraps the identity file, if there is one.
func identities(ctx context.Context, env Env) (*archive.Identities, error) {
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
