package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/node"
)

// addressesFile stands beside the process id of who holds a directory: the same
// number, and one line for each address at which the node is asked. It only makes a
// better message, so it is neither synced nor believed when the number is another.
const addressesFile = "ADDR"

func writeAddresses(dir string, addrs []string) error {
	text := strconv.Itoa(os.Getpid()) + "\n" + strings.Join(addrs, "\n") + "\n"
	return os.WriteFile(filepath.Join(dir, addressesFile), []byte(text), 0o644)
}

// addressAt is how a verb of this machine names the node that listens at a.
func addressAt(a net.Addr, tls bool) string {
	if u, ok := a.(*net.UnixAddr); ok {
		if abs, err := filepath.Abs(u.Name); err == nil {
			return "unix:" + abs
		}
		return "unix:" + u.Name
	}
	out := a.String()
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		out = net.JoinHostPort("localhost", strconv.Itoa(t.Port))
	}
	if tls {
		out += " --tls"
	}
	return out
}

// addressOf is where the process that holds a directory listens.
func addressOf(dir string, pid int) (string, bool) {
	text, err := os.ReadFile(filepath.Join(dir, addressesFile))
	if err != nil {
		return "", false
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 2 || lines[0] != strconv.Itoa(pid) || lines[1] == "" {
		return "", false
	}
	return lines[1], true
}

// heldError is [node.ErrLocked] for a verb that can ask who holds the directory.
type heldError struct {
	dir, addr string
	pid       int
	err       error
}

func (e *heldError) Error() string {
	return fmt.Sprintf("%s: directory is held by pid %d; use --addr %s", e.dir, e.pid, e.addr)
}

func (e *heldError) Unwrap() error { return e.err }

// orAsk turns the error of a directory that is held into advice.
func orAsk(c *cli.Call, err error) error {
	dir := c.String("dir")
	pid, ok := heldBy(dir)
	if !ok || !errors.Is(err, node.ErrLocked) {
		return err
	}
	addr, ok := addressOf(dir, pid)
	if !ok {
		return err
	}
	return &heldError{dir: dir, addr: addr, pid: pid, err: err}
}
