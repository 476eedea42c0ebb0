package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newCertificate writes a certificate for 127.0.0.1 that vouches for itself.
func newCertificate(t *testing.T, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SIGHUP takes new certificates, users and log level over; what cannot be read
// leaves the old one. systemd hears of it all.
func TestServe_Reload(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	newCertificate(t, file("cert"), file("key"))
	writeFile(t, file("users"), "user ada on >first tenants=0 +read +write\n")
	writeFile(t, file("pass"), "first\n")
	writeFile(t, file("c.yaml"), "log-level: info\n")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: file("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	heard := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := manager.Read(buf)
		if err != nil || !regexp.MustCompile("^"+want+"$").Match(buf[:n]) {
			t.Fatalf("the manager heard %q, %v, want %q", buf[:n], err, want)
		}
	}
	s := startServe(t, []string{"NOTIFY_SOCKET=" + file("notify")}, "--addr", "127.0.0.1:0", "--dir", file("n"), "--config", file("c.yaml"),
		"--users", file("users"), "--tls-cert", file("cert"), "--tls-key", file("key"))
	heard("READY=1")
	put := func() (int, string) {
		code, _, errs := run(t, "put", "k", "v", "--addr", s.addr, "--tls-ca", file("cert"), "--user", "ada", "--password-file", file("pass"))
		return code, errs
	}
	if code, errs := put(); code != 0 {
		t.Fatalf("before the reload: %s", errs)
	}
	hup := func(want ...string) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			waitFor(t, s.log, w)
		}
		heard(`RELOADING=1\nMONOTONIC_USEC=\d+`)
		heard("READY=1")
	}
	newCertificate(t, file("cert"), file("key"))
	writeFile(t, file("users"), "user ada on >second tenants=0 +read +write\n")
	if code, errs := put(); code == 0 || !strings.Contains(errs, "certificate") {
		t.Errorf("a new certificate before the reload: exit %d %s", code, errs)
	}
	writeFile(t, file("c.yaml"), "log-level: error\n")
	hup("certificate="+file("cert"), "users="+file("users"), "log_level=ERROR")
	if code, errs := put(); code == 0 || !strings.Contains(errs, "WRONGPASS") {
		t.Errorf("the old password after the reload: exit %d %s", code, errs)
	}
	writeFile(t, file("pass"), "second\n")
	if code, errs := put(); code != 0 {
		t.Errorf("after the reload: %s", errs)
	}
	good, err := os.ReadFile(file("cert"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("cert"), "nonsense")
	writeFile(t, file("users"), "user ada perhaps >third\n")
	writeFile(t, file("c.yaml"), "log-level: loud\n")
	hup("what=certificate", "what=users", "what=\"log level\"")
	writeFile(t, file("cert"), string(bytes.TrimSpace(good))+"\n")
	if code, errs := put(); code != 0 {
		t.Errorf("after a reload that failed: %s", errs)
	}
	s.stop()
	heard("STOPPING=1")
}
