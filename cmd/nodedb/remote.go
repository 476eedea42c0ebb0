package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/resp/client"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// remoteFlags name a node that runs, instead of --dir, and who asks it.
func remoteFlags() []ucli.Flag {
	return append([]ucli.Flag{&ucli.StringFlag{Name: "addr", Usage: "ask the node that runs at `HOST:PORT` or unix:PATH, instead of opening --dir"}}, whoFlags()...)
}

func whoFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "user", Usage: "`NAME` of the user at --addr (default: the default user)"},
		&ucli.StringFlag{Name: "password-file", Usage: "`FILE` whose first line is the user's password"},
		&ucli.BoolFlag{Name: "tls", Usage: "speak TLS with --addr"},
		&ucli.StringFlag{Name: "tls-ca", Usage: "`FILE` of the authorities (PEM) that vouch for --addr, with --tls (default: the system's)"},
	}
}

// isRemote tells whether a verb asks a running node. What is on the command line
// wins; without --addr there, a directory of the environment or the configuration
// file does, since those may hold serve's address as well.
func isRemote(c *cli.Call) (bool, error) {
	given := c.Given("addr")
	if given && c.Given("dir") {
		return false, cli.Usagef("--dir and --addr cannot be given together: a node that runs is asked, or a directory that nobody has open is opened")
	}
	if given && c.String("addr") == "" {
		return false, cli.Usagef("--addr is empty, want HOST:PORT or unix:PATH")
	}
	remote := given || c.String("addr") != "" && c.String("dir") == ""
	if !remote {
		return false, nil
	}
	for _, f := range slices.Concat(archiveFlags(), tuningFlags()) {
		if name := f.Names()[0]; c.Given(name) {
			return false, cli.Usagef("--%s is for a directory; the node at --addr has its own", name)
		}
	}
	return true, checkAddr(c.String("addr"))
}

// checkAddr finds what can be no address before anybody is asked.
func checkAddr(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return cli.Usagef("--addr is %q, want unix:PATH", addr)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return cli.Usagef("--addr is %q, want HOST:PORT or unix:PATH", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return cli.Usagef("--addr is %q, want a port from 1 to 65535", addr)
	}
	return nil
}

// notAsked tells who gives --addr to a verb that asks no node what to give instead.
func notAsked(v *cli.Verb) *cli.Verb {
	has := func(name string) bool {
		return slices.ContainsFunc(v.Flags, func(f ucli.Flag) bool { return f.Names()[0] == name })
	}
	hint := "it asks no node: see its commands for what they read"
	switch {
	case len(v.Verbs) > 0:
	case has("admin"):
		hint = "the admin server does that for a node that runs: give --admin HOST:PORT --admin-token-file FILE"
	case has("archive") && has("dir"):
		hint = "it reads the archive's store and a node's files: give --archive URL, and on the node's host --dir DIR"
	case has("archive"):
		hint = "it works on the archive's store, not on a node: give --archive URL"
	case has("from"):
		hint = "it works on stores, not on a node: give --from URL and --to URL"
	case has("dir"):
		hint = "it works on the node's files: run it on the node's host with --dir DIR"
	default:
		hint = "it asks no node: leave the flag out"
	}
	v.Elsewhere = map[string]string{"addr": hint}
	for _, sub := range v.Verbs {
		notAsked(sub)
	}
	return v
}

// remote is a node that runs, asked over its Redis port.
type remote struct {
	*client.Conn
	door door
}

// dial connects to the node of --addr.
func dial(c *cli.Call) (*remote, error) {
	o := client.Options{User: c.String("user")}
	if file := c.String("password-file"); file != "" {
		var err error
		if o.Password, err = readPassword(file); err != nil {
			return nil, err
		}
	}
	o.Tenant = uint32(c.Uint("tenant"))
	var err error
	if o.TLS, err = tlsOf(c, "tls"); err != nil {
		return nil, err
	}
	d := door{addr: c.String("addr"), tls: o.TLS != nil}
	conn, err := client.Dial(c.Context(), d.addr, o)
	if err != nil {
		return nil, d.failed(err)
	}
	return &remote{conn, d}, nil
}

// tlsOf is how to speak TLS, when the flag or --tls-ca asks for it.
func tlsOf(c *cli.Call, flag string) (*tls.Config, error) {
	ca := c.String("tls-ca")
	if !c.Bool(flag) && ca == "" {
		return nil, nil
	}
	o := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return o, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	o.RootCAs = x509.NewCertPool()
	if !o.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
	}
	return o, nil
}

// ask sends one request.
func (r *remote) ask(ctx context.Context, words ...string) (client.Reply, error) {
	a, err := r.Do(ctx, words...)
	if err != nil {
		return a, r.door.failed(err)
	}
	return a, nil
}

func (r *remote) number(ctx context.Context, words ...string) (int64, error) {
	a, err := r.ask(ctx, words...)
	return a.Int, err
}

// document asks for JSON.
func (r *remote) document(ctx context.Context, doc any, words ...string) error {
	a, err := r.ask(ctx, words...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.Text, doc); err != nil {
		return fmt.Errorf("ask the node at %s: read its answer to %s: %w", r.door.addr, words[0], err)
	}
	return nil
}

// Lookup is [node.DB.Lookup].
func (r *remote) Lookup(ctx context.Context, key []byte) (node.Entry, error) {
	a, err := r.ask(ctx, "NODEDB.GET", string(key))
	switch {
	case err != nil:
		return node.Entry{}, err
	case a.Nil():
		return node.Entry{}, node.ErrNotFound
	case len(a.Items) != 3:
		return node.Entry{}, r.door.failed(fmt.Errorf("%w: an entry has %d parts", client.ErrProtocol, len(a.Items)))
	}
	return node.Entry{Value: a.Items[0].Text, ExpireAt: a.Items[1].Int, LSN: wal.LSN(a.Items[2].Int)}, nil
}

// with are the words of the options of a write.
func with(words []string, o *node.WriteOptions) []string {
	if o == nil {
		return words
	}
	at := o.ExpireAt
	if o.TTL > 0 {
		at = time.Now().Add(o.TTL)
	}
	if !at.IsZero() {
		words = append(words, "PXAT", strconv.FormatInt(at.UnixMilli(), 10))
	}
	if len(o.IdempotencyKey) > 0 {
		words = append(words, "IDEM", string(o.IdempotencyKey))
	}
	return words
}

// Put is [node.DB.Put].
func (r *remote) Put(ctx context.Context, key, value []byte, o *node.WriteOptions) (wal.LSN, error) {
	n, err := r.number(ctx, with([]string{"NODEDB.PUT", string(key), string(value)}, o)...)
	return wal.LSN(n), err
}

// PutIfAbsent is [node.DB.PutIfAbsent].
func (r *remote) PutIfAbsent(ctx context.Context, key, value []byte, o *node.WriteOptions) (bool, error) {
	n, err := r.number(ctx, with([]string{"NODEDB.PUT", string(key), string(value), "NX"}, o)...)
	return n == 1, err
}

// Delete is [node.DB.Delete].
func (r *remote) Delete(ctx context.Context, key []byte, _ *node.WriteOptions) (bool, error) {
	n, err := r.number(ctx, "NODEDB.DEL", string(key))
	return n == 1, err
}

// Increment is [node.DB.Increment].
func (r *remote) Increment(ctx context.Context, key []byte, delta int64, o *node.WriteOptions) (int64, error) {
	return r.number(ctx, with([]string{"NODEDB.INCR", string(key), strconv.FormatInt(delta, 10)}, o)...)
}

// Checkpoint is [node.Node.Checkpoint].
func (r *remote) Checkpoint(ctx context.Context) (out node.CheckpointResult, err error) {
	return out, r.document(ctx, &out, "NODEDB.CHECKPOINT", "JSON")
}

// Backup is [node.Node.Backup]; the answer does not name the store.
func (r *remote) Backup(ctx context.Context) (out archive.BaseInfo, err error) {
	var doc archive.BaseSummary
	if err := r.document(ctx, &doc, "NODEDB.BACKUP"); err != nil {
		return out, err
	}
	k, err := archive.ParseKey(doc.Manifest)
	key, ok := k.(archive.BaseKey)
	if err != nil || !ok {
		return out, fmt.Errorf("ask the node at %s: its answer names no base: %q", r.door.addr, doc.Manifest)
	}
	return archive.BaseInfo{Key: key, LSN: doc.LSN, Files: doc.Files, Bytes: doc.Bytes,
		NewObjects: doc.NewObjects, NewBytes: doc.NewBytes, Duration: doc.Took}, nil
}

// RestorePoint is [node.Node.RestorePoint].
func (r *remote) RestorePoint(ctx context.Context, name string) (wal.LSN, time.Time, error) {
	var doc struct {
		LSN  wal.LSN   `json:"lsn"`
		Time time.Time `json:"time"`
	}
	err := r.document(ctx, &doc, "NODEDB.RESTOREPOINT", name, "JSON")
	return doc.LSN, doc.Time, err
}

// Digest is [node.Node.Digest].
func (r *remote) Digest(ctx context.Context) (out node.DigestResult, err error) {
	return out, r.document(ctx, &out, "NODEDB.DIGEST", "JSON")
}

// status is [node.Node.Status].
func (r *remote) status(ctx context.Context) (out node.Status, err error) {
	return out, r.document(ctx, &out, "NODEDB.STATUS")
}
