package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/resp/client"
)

// door is where a running node is asked, and how.
type door struct {
	addr string
	tls  bool
}

// failed says where a request failed, and what to try.
func (d door) failed(err error) error {
	told, ok := errors.AsType[client.Error](err)
	if !ok {
		return cli.Hint(fmt.Errorf("ask the node at %s: %w", d.addr, err), "%s", d.hint(err))
	}
	err = fmt.Errorf("node at %s: %w", d.addr, err)
	lower := strings.ToLower(string(told))
	switch {
	case strings.HasPrefix(lower, "err unknown command") && strings.Contains(lower, "nodedb."):
		return cli.Hint(err, "a Redis server answers there, or a nodedb that is older; nodedb serve says where it listens when it starts")
	case strings.HasPrefix(lower, "err auth") && strings.Contains(lower, "without any password"):
		return cli.Hint(err, "that node wants no password: leave --password-file out")
	}
	return err
}

// hint is for an error that is no answer.
func (d door) hint(err error) string {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.Canceled), isInterrupt(err):
		return ""
	case authority:
		return "name the authority that signed its certificate with --tls-ca FILE"
	case name:
		return "ask by a name or address that its certificate is for"
	case certificate:
		return "the certificate is that of serve's --tls-cert; SIGHUP makes serve read it again"
	case plain:
		return "what listens there speaks no TLS: leave --tls and --tls-ca out, or see that it is the port for Redis clients"
	case errors.Is(err, client.ErrProtocol):
		return "is that the port for Redis clients? nodedb serve says where it listens when it starts"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF) && !d.tls:
		return "is that the port for Redis clients, and does it want --tls?"
	}
	return "is nodedb serve running there? it says where it listens when it starts"
}

func isInterrupt(err error) bool {
	_, ok := errors.AsType[*cli.Interrupt](err)
	return ok
}
