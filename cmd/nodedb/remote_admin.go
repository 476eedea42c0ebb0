package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

// askAdminFlags name the admin server of a node that runs, instead of --dir.
func askAdminFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "admin", Usage: "ask the node whose admin server is at `HOST:PORT`, instead of opening --dir"},
		&ucli.StringFlag{Name: "admin-token-file", Usage: "`FILE` whose first line is the token of that server"},
		&ucli.BoolFlag{Name: "admin-tls", Usage: "speak TLS with --admin"},
		&ucli.StringFlag{Name: "tls-ca", Usage: "`FILE` of the authorities (PEM) that vouch for --admin, with TLS (default: the system's)"},
	}
}

// isAdmin is [isRemote] for --admin.
func isAdmin(c *cli.Call) (bool, error) {
	given, addr := c.Given("admin"), c.String("admin")
	if given && c.Given("dir") {
		return false, cli.Usagef("--dir and --admin cannot be given together: a node that runs is asked, or a directory that nobody has open is opened")
	}
	if !given && (addr == "" || c.String("dir") != "") {
		return false, nil
	}
	for _, f := range append(archiveFlags(), tenantFlag()) {
		if name := f.Names()[0]; c.Given(name) {
			return false, cli.Usagef("--%s is for a directory; the node at --admin has its own", name)
		}
	}
	if strings.HasPrefix(addr, "unix:") || checkAddr(addr) != nil {
		return false, cli.Usagef("--admin is %q, want HOST:PORT", addr)
	}
	return true, nil
}

// adminClient asks the admin server of a node.
type adminClient struct {
	http  *http.Client
	base  string // scheme and address
	token string
}

const (
	adminDialTimeout = 10 * time.Second
	adminLookTimeout = 10 * time.Second
	// adminBytesMax bounds an answer; a status has some hundred bytes for each vshard.
	adminBytesMax = 64 << 20
)

func newAdminClient(c *cli.Call) (*adminClient, error) {
	token, err := adminToken(c.String("admin-token-file"))
	if err != nil {
		return nil, err
	}
	t := &http.Transport{ // no proxy: it would see the token
		DialContext:         (&net.Dialer{Timeout: adminDialTimeout}).DialContext,
		TLSHandshakeTimeout: adminDialTimeout,
	}
	if t.TLSClientConfig, err = tlsOf(c, "admin-tls"); err != nil {
		return nil, err
	}
	scheme := "http://"
	if t.TLSClientConfig != nil {
		scheme = "https://"
	}
	h := &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &adminClient{http: h, base: scheme + c.String("admin"), token: token}, nil
}

// ask reads the document that a request is answered with.
func (a *adminClient) ask(ctx context.Context, method, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
	if err != nil {
		return err
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	answer, err := a.http.Do(r)
	if err == nil {
		defer answer.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(answer.Body, adminBytesMax)); err == nil {
			return a.understand(answer.StatusCode, body, into)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return cli.Hint(fmt.Errorf("ask the node: %w", err), "is --admin where nodedb serve says \"admin on\", and does it want --admin-tls?")
}

func (a *adminClient) understand(code int, body []byte, into any) error {
	if code == http.StatusOK {
		if err := json.Unmarshal(body, into); err != nil {
			return fmt.Errorf("ask the node at %s: its answer is not what an admin server says: %w", a.base, err)
		}
		return nil
	}
	var told struct{ Error, Kind string }
	if err := json.Unmarshal(body, &told); err != nil {
		told.Error = ""
	}
	err := fmt.Errorf("node at %s: %s", a.base, cmp.Or(told.Error, "HTTP status "+http.StatusText(code)))
	switch {
	case told.Kind == "fenced":
		return fmt.Errorf("%w (%w)", err, archive.ErrFenced)
	case code == http.StatusConflict:
		return cli.Hint(node.ErrNoArchive, "the node at --admin was started without one: nodedb serve --archive URL")
	case code == http.StatusUnauthorized:
		return cli.Hint(err, "changes need the token of serve's --admin-token-file; name its file here with --admin-token-file FILE")
	case code == http.StatusNotFound, told.Error == "":
		return cli.Hint(err, "is that the admin server of nodedb serve, of this version, and does it want --admin-tls?")
	}
	return err
}

// waiting is how much log waits for the archive.
func (a *adminClient) waiting(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminLookTimeout)
	defer cancel()
	var st struct {
		Archive struct {
			WaitingBytes int64 `json:"waiting_bytes"`
		} `json:"archive"`
	}
	err := a.ask(ctx, http.MethodGet, "/api/status", &st)
	return st.Archive.WaitingBytes, err
}
