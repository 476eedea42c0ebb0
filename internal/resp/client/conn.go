package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Options of a connection.
type Options struct {
	User     string      // "": the default user
	Password string      // "": no AUTH
	Tenant   uint32      // SELECT
	TLS      *tls.Config // nil: none
}

const dialTimeout = 10 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v: %w", dialTimeout, context.DeadlineExceeded)

// Conn is a connection to a node. It is not safe for concurrent use, and of no use
// after an error that is no [Error].
type Conn struct {
	net net.Conn
	r   replyReader
	out []byte
}

// Dial connects to HOST:PORT or unix:PATH, authenticates, and selects the tenant.
func Dial(ctx context.Context, addr string, o Options) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, errNoAnswer)
	defer cancel()
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	var nc net.Conn
	var err error
	if o.TLS != nil {
		nc, err = (&tls.Dialer{Config: o.TLS}).DialContext(ctx, network, addr)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{net: nc, r: replyReader{r: bufio.NewReaderSize(nc, lineBytesMax)}}
	if err := c.hello(ctx, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Conn) hello(ctx context.Context, o Options) error {
	var first [][]string
	if o.User != "" {
		first = append(first, []string{"AUTH", o.User, o.Password})
	} else if o.Password != "" {
		first = append(first, []string{"AUTH", o.Password})
	}
	if o.Tenant != 0 {
		first = append(first, []string{"SELECT", strconv.FormatUint(uint64(o.Tenant), 10)})
	}
	if len(first) == 0 { // what answers nothing is found while there is a time limit
		_, err := c.Do(ctx, "PING")
		if _, told := errors.AsType[Error](err); told { // so will the first request
			err = nil
		}
		return err
	}
	for _, words := range first {
		if _, err := c.Do(ctx, words...); err != nil {
			return err
		}
	}
	return nil
}

// Do sends one request and waits for its answer, or for the end of ctx. An error
// that the server answers is an [Error].
func (c *Conn) Do(ctx context.Context, words ...string) (Reply, error) {
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		return Reply{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) }) // wakes what waits below
	defer stop()
	r, err := c.do(words)
	var told Error
	if err != nil && ctx.Err() != nil && !errors.As(err, &told) {
		return r, context.Cause(ctx)
	}
	return r, err
}

func (c *Conn) do(words []string) (Reply, error) {
	b := fmt.Appendf(c.out[:0], "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n", len(w))
		b = append(b, w...)
		b = append(b, "\r\n"...)
	}
	c.out = b
	if _, err := c.net.Write(b); err != nil {
		return Reply{}, err
	}
	return c.r.next()
}

// Close ends the connection.
func (c *Conn) Close() error { return c.net.Close() }
