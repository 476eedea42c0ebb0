package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"

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
	}
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
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, Usagef("--age-identity: %s does not exist", name)
		}
		if err != nil {
			return nil, err
		}
		ids, err := archive.ParseIdentities(f)
		_ = f.Close() // only read
		if err != nil {
			return nil, fmt.Errorf("identity file %s: %w", name, err)
		}
		all = all.Join(ids)
	}
	return all, nil
}
