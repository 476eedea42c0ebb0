package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archiveKeygenVerb() *cli.Verb {
	return &cli.Verb{
		Name: "keygen", Usage: "make a pair of keys: the private one into --out, the public one is printed",
		Flags: []ucli.Flag{outFlag(), cli.IdentityKMSFlag()},
		Run:   runArchiveKeygen,
	}
}

func runArchiveKeygen(c *cli.Call) error {
	name := c.String("out")
	if name == "" {
		return cli.Usagef("no --out FILE for the private key")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), id.Recipient(), id)
	data := []byte(text)
	if c.String("age-identity-kms") != "" {
		if data, err = wrap(c, data); err != nil {
			return err
		}
	}
	if err := writeSecret(name, data); err != nil {
		return err
	}
	doc := struct {
		File   string `json:"file"`
		Public string `json:"public"`
	}{name, id.Recipient().String()}
	return c.Answer(doc, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, doc.Public)
		return err
	})
}

func outFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "out", Usage: "new `FILE` for the private key"}
}

func archiveWrapVerb() *cli.Verb {
	return &cli.Verb{
		Name: "wrap-identity", Usage: "encrypt an identity file with a key service, so that the file alone opens nothing",
		Args: "FILE", ArgsMin: 1, ArgsMax: 1, Flags: []ucli.Flag{outFlag(), cli.IdentityKMSFlag()}, Run: runArchiveWrap,
	}
}

func runArchiveWrap(c *cli.Call) error {
	name := c.String("out")
	if name == "" {
		return cli.Usagef("no --out FILE for the wrapped key")
	}
	data, err := cli.ReadKeyFile(c.Arg(0))
	if err != nil {
		return err
	}
	if archive.Wrapped(data) {
		return cli.Usagef("%s is wrapped already", c.Arg(0))
	}
	if data, err = wrap(c, data); err != nil {
		return err
	}
	if err := writeSecret(name, data); err != nil {
		return err
	}
	return c.Answer(struct {
		File string `json:"file"`
	}{name}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "wrapped into %s; try it before you delete %s\n", name, c.Arg(0))
		return err
	})
}

// wrap encrypts an identity file, and opens it again: what cannot be unwrapped
// must show now.
func wrap(c *cli.Call, file []byte) ([]byte, error) {
	k, err := c.OpenKeeper()
	if err != nil {
		return nil, err
	}
	out, err := archive.WrapIdentities(c.Context(), k, file)
	if err == nil {
		_, err = archive.UnwrapIdentities(c.Context(), k, out)
	}
	return out, errors.Join(err, k.Close())
}

// writeSecret creates a file that only its owner reads. One that is there is
// not touched: it may be the only key to an archive.
func writeSecret(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write key file %s: %w", name, err)
	}
	return nil
}
