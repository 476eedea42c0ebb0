package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node"
)

// rig is a node in memory and a server of it on a free port.
type rig struct {
	t    *testing.T
	node *node.Node
	s    *Server
	addr string
}

func serve(t *testing.T, o Options) *rig {
	t.Helper()
	n, err := node.Open("n", &node.Options{FS: vfs.NewMem(), NodeID: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	o.Node = n
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, node: n, s: New(o), addr: l.Addr().String()}
	done := make(chan error, 1)
	go func() { done <- r.s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// client is a connection that speaks in lines of words.
type client struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func (r *rig) client() *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return &client{r.t, nc, bufio.NewReader(nc)}
}

func request(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, raw); err != nil {
		c.t.Fatal(err)
	}
}

// do sends one request of words and gives the answer as text: strings as they are,
// numbers in digits, nil for nothing, errors with a -, and arrays in brackets.
func (c *client) do(words ...string) string {
	c.t.Helper()
	c.send(request(words...))
	return c.read()
}

func (c *client) read() string {
	c.t.Helper()
	s, err := c.reply()
	if err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	return s
}

func (c *client) reply() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	rest := line[1:]
	switch line[0] {
	case '+', ':', ',', '#':
		return rest, nil
	case '-':
		return line, nil
	case '_':
		return "nil", nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil {
		return "", fmt.Errorf("header %q: %w", line, err)
	}
	if n < 0 {
		return "nil", nil
	}
	if line[0] == '$' || line[0] == '=' {
		buf := make([]byte, n+2)
		_, err := io.ReadFull(c.r, buf)
		return string(buf[:n]), err
	}
	if line[0] == '%' {
		n *= 2
	}
	parts := make([]string, n)
	for i := range parts {
		if parts[i], err = c.reply(); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(parts, " ") + "]", nil
}

// script runs requests, in the words of a line, and compares the answers.
func (c *client) script(lines ...[2]string) {
	c.t.Helper()
	for _, l := range lines {
		if got := c.do(wordsOf(c.t, l[0])...); got != l[1] {
			c.t.Errorf("%s: %q, want %q", l[0], got, l[1])
		}
	}
}

func wordsOf(t *testing.T, line string) []string {
	t.Helper()
	args, err := splitLine([]byte(line))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var words []string
	for _, a := range args {
		words = append(words, string(a))
	}
	return words
}
