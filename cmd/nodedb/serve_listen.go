package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/resp"
	"github.com/nodedb-go/nodedb/internal/trace"
)

// listenFlags are where and how Redis clients are served.
func listenFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "addr", Value: "127.0.0.1:6380", Usage: "serve Redis clients on `HOST:PORT`; port 0 takes a free one, off serves none"},
		&ucli.StringFlag{Name: "unix-socket", Usage: "serve Redis clients on a Unix socket at `PATH`, for its owner and group"},
		&ucli.StringFlag{Name: "tls-cert", Usage: "certificate `FILE` (PEM); with --tls-key, --addr speaks TLS only"},
		&ucli.StringFlag{Name: "tls-key", Usage: "private key `FILE` (PEM)"},
		&ucli.StringFlag{Name: "users", Usage: "`FILE` of users with passwords, tenants and rights (default: everybody may do everything)"},
		&ucli.StringFlag{Name: "password-file", Usage: "`FILE` whose first line is the password of the default user"},
		&ucli.BoolFlag{Name: "open", Usage: "let clients from other machines do everything without a password"},
		&ucli.IntFlag{Name: "max-clients", Value: 10_000, Usage: "refuse more than `N` Redis clients at a time"},
		&ucli.DurationFlag{Name: "client-timeout", Usage: "close a Redis client that asks nothing for so long (default: never)"},
	}
}

// refuseStrangers refuses an address that other machines reach, unless --open says that
// everybody may do everything. It is for a node without users.
func refuseStrangers(c *cli.Call) error {
	addr := c.String("addr")
	if addr == "off" || c.Bool("open") {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil // the listener says it better
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return cli.Hint(cli.Usagef("--addr %s lets clients from other machines do everything, without a password", addr),
		"give --users or --password-file, or --open if that is what you want")
}

// redisServer is what listens.
type redisServer struct {
	*resp.Server
	certs  *certificates // nil: no TLS
	users  *resp.Users
	failed chan error // a listener that broke
}

// listen opens what the flags ask for, and begins to serve.
func listen(c *cli.Call, s *session, certs *certificates, users *resp.Users, tracer *trace.Tracer) (_ *redisServer, err error) {
	out := &redisServer{users: users, certs: certs, failed: make(chan error, 2)}
	out.Server = resp.New(resp.Options{Node: s.Node, Version: cli.BuildVersion("nodedb").Version, Logger: c.Log, Users: users,
		MaxClients: c.Int("max-clients"), IdleTimeout: c.Duration("client-timeout"), At: past(c, s), Trace: tracer})
	var open []net.Listener
	defer func() {
		if err != nil {
			for _, l := range open {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	if addr := c.String("addr"); addr != "off" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, cli.Hint(fmt.Errorf("serve Redis clients: %w", err), "take another --addr, or --addr off")
		}
		if out.certs != nil {
			l = tls.NewListener(l, out.certs.config())
		}
		open = append(open, l)
		c.Notef("Redis clients on %s", l.Addr())
	}
	if path := c.String("unix-socket"); path != "" {
		l, err := listenUnix(path)
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		c.Notef("Redis clients on %s", path)
	}
	var addrs []string
	for _, l := range open {
		addrs = append(addrs, addressAt(l.Addr(), out.certs != nil))
	}
	if err := writeAddresses(s.Status().Dir, addrs); err != nil {
		return nil, err
	}
	for _, l := range open {
		go func() {
			if err := out.Serve(l); err != nil {
				out.failed <- fmt.Errorf("serve Redis clients on %s: %w", l.Addr(), err)
			}
		}()
	}
	return out, nil
}

// clientsTimeout is how long clients may take to get the answers to what they sent.
const clientsTimeout = 5 * time.Second

// end lets the clients go, before the node is drained.
func (r *redisServer) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), clientsTimeout)
	defer cancel()
	return r.Shutdown(ctx)
}

// unixPathMax is sun_path of unix(7) without its final zero.
const unixPathMax = 107

// listenUnix takes the place of a socket that nobody listens on any more.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, cli.Hint(fmt.Errorf("%s is there and is no socket", path), "take another --unix-socket")
		}
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			return nil, errors.Join(cli.Hint(fmt.Errorf("another process listens on %s", path), "take another --unix-socket"), conn.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if len(path) > unixPathMax {
		return nil, cli.Hint(cli.Usagef("--unix-socket has %d bytes, and a socket's path at most %d", len(path), unixPathMax), "take a shorter path")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("serve Redis clients: %w", err), "take a --unix-socket in a directory that is there and may be written to")
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func loadUsers(c *cli.Call) (*resp.Users, error) {
	file, password := c.String("users"), c.String("password-file")
	switch {
	case file != "" && password != "":
		return nil, cli.Usagef("--users and --password-file cannot be given together")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		users, err := resp.ParseUsers(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return users, nil
	case password != "":
		line, err := readPassword(password)
		if err != nil {
			return nil, err
		}
		return resp.Password(line), nil
	}
	return resp.Everybody(), refuseStrangers(c)
}

// readPassword is the first line of a file.
func readPassword(file string) (string, error) {
	line, err := firstLine(file)
	if err == nil && line == "" {
		err = fmt.Errorf("%s: its first line is empty, want a password", file)
	}
	return line, err
}

// firstLine is the first line of a file, without its end.
func firstLine(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
