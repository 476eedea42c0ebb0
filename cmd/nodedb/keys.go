package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func base64Flag() ucli.Flag {
	return &ucli.BoolFlag{Name: "base64", Usage: "KEY and VALUE are base64, for bytes that a shell cannot pass"}
}

func expiryFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.DurationFlag{Name: "ttl", Usage: "time to live, like 1h30m"},
		&ucli.StringFlag{Name: "expires-at", Usage: "`TIME` of expiry, RFC 3339"},
	}
}

func idemFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "idempotency-key", Usage: "`KEY` by which a repeated request is recognised, also after a restart"}
}

// keyArg is argument i as bytes.
func keyArg(c *cli.Call, i int) ([]byte, error) {
	if !c.Bool("base64") {
		return []byte(c.Arg(i)), nil
	}
	b, err := base64.StdEncoding.DecodeString(c.Arg(i))
	if err != nil {
		return nil, cli.Usagef("%q is not base64: %w", c.Arg(i), err)
	}
	return b, nil
}

// writeOptions reads the expiry and idempotency flags that the verb has.
func writeOptions(c *cli.Call) (*node.WriteOptions, error) {
	o := &node.WriteOptions{TTL: c.Duration("ttl"), IdempotencyKey: []byte(c.String("idempotency-key"))}
	if c.IsSet("ttl") && o.TTL <= 0 {
		return nil, cli.Usagef("--ttl is %s, want more than 0", o.TTL)
	}
	if s := c.String("expires-at"); s != "" {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return nil, cli.Usagef("--expires-at %q: want RFC 3339 like 2031-01-01T00:00:00Z", s)
		}
		if o.TTL != 0 {
			return nil, cli.Usagef("--ttl and --expires-at exclude each other")
		}
		o.ExpireAt = t
	}
	return o, nil
}

// entryView is an entry as JSON; bytes that are not UTF-8 stand in _b64.
type entryView struct {
	Key       *string `json:"key,omitempty"`
	KeyB64    string  `json:"key_b64,omitempty"`
	Value     *string `json:"value,omitempty"`
	ValueB64  *string `json:"value_b64,omitempty"`
	ExpiresAt string  `json:"expires_at,omitempty"`
	LSN       wal.LSN `json:"lsn,omitempty"`
}

func viewEntry(key, value []byte, expireAt int64, lsn wal.LSN, withValue bool) entryView {
	v := entryView{LSN: lsn}
	if utf8.Valid(key) {
		v.Key = new(string(key))
	} else {
		v.KeyB64 = base64.StdEncoding.EncodeToString(key)
	}
	switch {
	case !withValue:
	case utf8.Valid(value):
		v.Value = new(string(value))
	default:
		v.ValueB64 = new(base64.StdEncoding.EncodeToString(value))
	}
	if expireAt != 0 {
		v.ExpiresAt = cli.FormatTime(time.UnixMilli(expireAt))
	}
	return v
}

// readValue gives the value of put: the argument, a file, or standard input.
func readValue(c *cli.Call) ([]byte, error) {
	file := c.String("file")
	switch {
	case c.NArg() == 2 && file != "":
		return nil, cli.Usagef("VALUE and --file exclude each other")
	case c.NArg() == 2 && c.Arg(1) != "-":
		return keyArg(c, 1)
	case file != "" && file != "-":
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readBounded(f, file)
	case c.NArg() == 1 && file == "" && cli.IsTerminal(c.Stdin):
		return nil, cli.Hint(cli.Usagef("no VALUE"), "give it as an argument, with --file, or on standard input")
	}
	return readBounded(c.Stdin, "standard input")
}

// valueBytesMax is above what a node takes, so that the node's own error tells.
const valueBytesMax = 17 << 20

func readBounded(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, valueBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}
