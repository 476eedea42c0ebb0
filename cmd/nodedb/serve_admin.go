package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/admin"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/pitr"
)

// adminFlags are where and to whom the admin server answers.
func adminFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "admin", Value: "127.0.0.1:6381", Usage: "serve health, metrics, the API and the web page on `HOST:PORT`; port 0 takes a free one, off serves none"},
		&ucli.StringFlag{Name: "admin-token-file", Usage: "`FILE` whose first line is the token that admin requests must carry (default: this machine may read, nobody may change)"},
		&ucli.BoolFlag{Name: "admin-tls", Usage: "--admin speaks TLS with --tls-cert and --tls-key"},
		&ucli.DurationFlag{Name: "ready-lag", Value: admin.ReadyLagDefault, Usage: "how far the archive may be behind before /readyz says no; negative: any time"},
	}
}

// adminServer answers from before the node is open until after it was drained. All
// methods do nothing without --admin.
type adminServer struct {
	*admin.Server
	meter   *admin.Meter
	session *session
	clients *redisServer
}

// serveAdmin listens before the node is opened, so that who asks meanwhile learns
// that it is being recovered.
func serveAdmin(c *cli.Call, certs *certificates, tracer *trace.Tracer) (*adminServer, error) {
	addr := c.String("admin")
	if addr == "off" {
		return &adminServer{meter: newMeter(tracer)}, nil
	}
	token, err := adminToken(c.String("admin-token-file"))
	if err != nil {
		return nil, err
	}
	l, err := listenAdmin(c, addr, certs)
	if err != nil {
		return nil, err
	}
	a := &adminServer{meter: newMeter(tracer)}
	o := admin.Options{Version: cli.BuildVersion("nodedb").Version, Token: token, Logger: c.Log, ReadyLag: c.Duration("ready-lag"), Meter: a.meter, Clients: a.clientStats, Trace: tracer}
	if len(c.ArchiveURLs()) > 0 {
		o.History = a.history
	}
	a.Server = admin.New(o)
	if at, ok := l.Addr().(*net.TCPAddr); ok && token == "" && !at.IP.IsLoopback() {
		c.Notef("admin requests from other machines are refused, but for health: give --admin-token-file")
	}
	c.Notef("admin on %s", l.Addr())
	go func() {
		if err := a.Serve(l); err != nil {
			c.Log.Error("the admin server ended, the node goes on", "err", err)
		}
	}()
	return a, nil
}

func listenAdmin(c *cli.Call, addr string, certs *certificates) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("serve admin requests: %w", err), "take another --admin, or --admin off")
	}
	if !c.Bool("admin-tls") {
		return l, nil
	}
	if certs == nil {
		return nil, errors.Join(cli.Usagef("--admin-tls needs --tls-cert and --tls-key"), l.Close())
	}
	return tls.NewListener(l, certs.config()), nil
}

// adminTokenMin keeps out what can be guessed.
const adminTokenMin = 16

func adminToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	line, err := firstLine(file)
	if err != nil {
		return "", fmt.Errorf("read the admin token: %w", err)
	}
	line = strings.TrimSpace(line)
	if len(line) < adminTokenMin {
		return "", cli.Hint(fmt.Errorf("%s: its first line has %d characters, want a token of %d or more", file, len(line), adminTokenMin), "make one: head -c 24 /dev/urandom | base64")
	}
	return line, nil
}

// attach gives the server what it shows.
func (a *adminServer) attach(s *session, clients *redisServer) {
	if a.Server == nil {
		return
	}
	a.session, a.clients = s, clients
	a.Attach(s.Node)
}

func (a *adminServer) drain() {
	if a.Server != nil {
		a.Drain()
	}
}

// adminTimeout is how long the last answers may take.
const adminTimeout = 3 * time.Second

func (a *adminServer) end() error {
	if a.Server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// clientStats is asked for once the node is attached.
func (a *adminServer) clientStats() admin.ClientStats { return admin.ClientStats(a.clients.Stats()) }

// history reads the archive through the node's own stores.
func (a *adminServer) history(ctx context.Context) (*admin.History, error) {
	h := &admin.History{}
	var archives []*archive.Archive
	var failed []error
	for _, s := range a.session.stores {
		one, err := archive.Open(s.Store, a.session.ID())
		if err != nil {
			return nil, err
		}
		archives = append(archives, one)
		if err := readHistory(ctx, one, h); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == len(archives) {
		return nil, errors.Join(failed...)
	}
	var err error
	h.Description, err = pitr.Describe(ctx, archives)
	return h, err
}

// readHistory adds what one store holds.
func readHistory(ctx context.Context, a *archive.Archive, h *admin.History) error {
	c, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	h.Entries += len(c.Epochs) + len(c.Segments) + len(c.Packs) + len(c.Bases) + len(c.Gaps) + len(c.Pins) + len(c.Indexes) + len(c.Merged) +
		len(c.Catalogs) + len(c.Ledgers) + len(c.Proofs) + len(c.Begun) + len(c.Prunes) + len(c.Foreign) + c.ForeignMore
	h.Ignored += len(c.Foreign) + c.ForeignMore
	points, err := a.Points(ctx, c.Windows(), "")
	if err != nil {
		return err
	}
	for _, p := range points {
		h.AddPoint(admin.Point{Name: p.Name, Timeline: p.Timeline, LSN: p.LSN, Time: time.UnixMicro(p.Time).UTC()})
	}
	newest := archive.ProofEntry{}
	for _, p := range c.Proofs {
		if p.ModTime.After(newest.ModTime) {
			newest = p
		}
	}
	if newest.ModTime.IsZero() {
		return nil
	}
	p, err := archive.ReadProof(ctx, a.Store(), a.NodeID(), newest.ProofKey)
	if err != nil {
		return err
	}
	if p.Verdict == archive.VerdictEqual && (h.Drill == nil || p.StartedAt.After(h.Drill.At)) {
		h.Drill = &admin.Drill{At: p.StartedAt, LSN: p.LSN, Seconds: p.Seconds}
	}
	return nil
}
