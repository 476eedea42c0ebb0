package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
	"gocloud.dev/secrets"

	"github.com/nodedb-go/nodedb/archive"
)

// noRecipients is the value of --age-recipient that turns encryption off where
// the archive has some.
const noRecipients = "none"

// RecipientFlags say for whom an archive is encrypted.
func RecipientFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringSliceFlag{Name: "age-recipient", Usage: "encrypt what is archived for this public `KEY` (age1…); may be given several times; none turns it off"},
	}
}

// IdentityFlags name the keys that open an archive.
func IdentityFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringSliceFlag{Name: "age-identity", Usage: "`FILE` with the private key that opens an encrypted archive; may be given several times"},
		IdentityKMSFlag(),
	}
}

// IdentityKMSFlag names the key service that wraps identity files.
func IdentityKMSFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "age-identity-kms", Usage: "key service `URL` that wrapped the identity files (awskms://, gcpkms://, azurekeyvault://, base64key://)"}
}

// Recipients are those of --age-recipient. plain is set when they were declined.
func (c *Call) Recipients() (r *archive.Recipients, plain bool, err error) {
	var keys []string
	for _, v := range c.flags.StringSlice("age-recipient") {
		for k := range strings.SplitSeq(v, ",") {
			if k = strings.TrimSpace(k); k != "" {
				keys = append(keys, k)
			}
		}
	}
	switch {
	case len(keys) == 0:
		return nil, false, nil
	case slices.Contains(keys, noRecipients) && len(keys) == 1:
		return nil, true, nil
	case slices.Contains(keys, noRecipients):
		return nil, false, Usagef("--age-recipient is none and something else")
	}
	r, err = archive.ParseRecipients(keys...)
	return r, false, err
}

// Identities are those in the files of --age-identity, nil when there are none.
func (c *Call) Identities() (*archive.Identities, error) {
	var all *archive.Identities
	for _, name := range c.flags.StringSlice("age-identity") {
		ids, err := c.identityFile(name)
		if err != nil {
			return nil, err
		}
		all = all.Join(ids)
	}
	return all, nil
}

const identityFileMax = 4 << 20

func (c *Call) identityFile(name string) (*archive.Identities, error) {
	data, err := ReadKeyFile(name)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	var ids *archive.Identities
	if archive.Wrapped(data) {
		keeper, kerr := c.OpenKeeper()
		if kerr != nil {
			return nil, fmt.Errorf("identity file %s is wrapped: %w", name, kerr)
		}
		ids, err = archive.UnwrapIdentities(c.Context(), keeper, data)
		err = errors.Join(err, keeper.Close())
	} else {
		ids, err = archive.ParseIdentities(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("identity file %s: %w", name, err)
	}
	return ids, nil
}

// ReadKeyFile reads the file of a private key.
func ReadKeyFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Usagef("key file %s does not exist", name)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, identityFileMax))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return data, nil
}

// OpenKeeper opens the key service of --age-identity-kms. Its URL may hold a
// key, so no error shows it.
func (c *Call) OpenKeeper() (*secrets.Keeper, error) {
	raw := c.String("age-identity-kms")
	if raw == "" {
		return nil, Usagef("no --age-identity-kms URL of the key service")
	}
	k, err := secrets.OpenKeeper(c.Context(), raw)
	if err != nil {
		scheme, _, _ := strings.Cut(raw, "://")
		return nil, Usagef("--age-identity-kms: the %.20q URL cannot be used; this program knows %s", scheme,
			strings.Join(secrets.DefaultURLMux().KeeperSchemes(), ", "))
	}
	return k, nil
}
