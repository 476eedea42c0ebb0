package resp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// certificate makes configurations of a server and a client that trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// serveTLS serves on one more listener, of TLS, which is the address of the rig.
func serveTLS(t *testing.T, o Options) (*rig, *tls.Config) {
	t.Helper()
	server, config := certificate(t)
	r := serve(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	r.also(tls.NewListener(l, server))
	return r, config
}

// also serves on one more listener.
func (r *rig) also(l net.Listener) {
	done := make(chan error, 1)
	go func() { done <- r.s.Serve(l) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.s.Shutdown(ctx); err != nil {
			r.t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
}

func (r *rig) secure(config *tls.Config) *client {
	r.t.Helper()
	nc, err := tls.Dial("tcp", r.addr, config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return &client{r.t, nc, bufio.NewReader(nc)}
}

// Plain and TLS and a Unix socket; nobody, a password and users; right and wrong.
func TestDoors(t *testing.T) {
	const refused, wrong = "-" + string(errNoAuth), "-" + string(errWrongPass)
	people := func() *Users {
		u, err := ParseUsers([]byte("user alice on >secret +read +write\nuser carl off >secret +read +write\n"))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	users := Everybody()
	r, config := serveTLS(t, Options{Users: users})
	plain := *r
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain.addr = l.Addr().String()
	r.also(l)
	path := filepath.Join(t.TempDir(), "s")
	if l, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	r.also(l)
	for _, tc := range []struct {
		name  string
		users *Users
		auth  []string // nil: none
		want  string   // the answer to it
		set   string   // the answer to SET behind it
	}{
		{"open", Everybody(), nil, "", "OK"},
		{"open, but a password is given", Everybody(), []string{"AUTH", "x"}, "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", "OK"},
		{"password, none given", Password("secret"), nil, "", refused},
		{"password, right", Password("secret"), []string{"AUTH", "secret"}, "OK", "OK"},
		{"password, right, by name", Password("secret"), []string{"AUTH", "default", "secret"}, "OK", "OK"},
		{"password, wrong", Password("secret"), []string{"AUTH", "Secret"}, wrong, refused},
		{"password, empty", Password("secret"), []string{"AUTH", ""}, wrong, refused},
		{"users, none given", people(), nil, "", refused},
		{"users, right", people(), []string{"AUTH", "alice", "secret"}, "OK", "OK"},
		{"users, wrong", people(), []string{"AUTH", "alice", "guess"}, wrong, refused},
		{"users, switched off", people(), []string{"AUTH", "carl", "secret"}, wrong, refused},
		{"users, unknown", people(), []string{"AUTH", "bob", "secret"}, wrong, refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			users.Replace(tc.users)
			r.s.guard.mu.Lock()
			r.s.guard.fails = nil // or the next ones wait for longer and longer
			r.s.guard.mu.Unlock()
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nc.Close() })
			socket := &client{t, nc, bufio.NewReader(nc)}
			for door, c := range map[string]*client{"plain": plain.client(), "TLS": r.secure(config), "socket": socket} {
				if tc.auth != nil {
					if got := c.do(tc.auth...); got != tc.want {
						t.Errorf("%s: AUTH: %q, want %q", door, got, tc.want)
					}
				}
				if got := c.do("SET", "k", "v"); got != tc.set {
					t.Errorf("%s: SET: %q, want %q", door, got, tc.set)
				}
			}
		})
	}
	c := r.client()
	c.send(request("PING"))
	if got, err := c.reply(); err == nil && got == "PONG" {
		t.Error("plain text on TLS is answered")
	}
	config.RootCAs = x509.NewCertPool()
	if _, err := tls.Dial("tcp", r.addr, config); err == nil {
		t.Error("a client takes a certificate of an unknown issuer")
	}
}
