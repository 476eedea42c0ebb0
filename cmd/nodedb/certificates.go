package main

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// certificates serve a certificate that can be read again while clients are
// connected.
type certificates struct {
	cert, key string
	now       atomic.Pointer[tls.Certificate]
}

func loadCertificates(c *cli.Call) (*certificates, error) {
	s := &certificates{cert: c.String("tls-cert"), key: c.String("tls-key")}
	switch {
	case s.cert == "" && s.key == "":
		return nil, nil
	case s.cert == "" || s.key == "":
		return nil, cli.Usagef("--tls-cert and --tls-key come together")
	}
	return s, s.load()
}

// load reads both files; when it fails what was there stays.
func (s *certificates) load() error {
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return fmt.Errorf("load certificate %s with key %s: %w", s.cert, s.key, err)
	}
	s.now.Store(&pair)
	return nil
}

func (s *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.now.Load(), nil }}
}
