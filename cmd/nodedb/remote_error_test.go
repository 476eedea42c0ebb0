package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// Who asks at a place where no node answers is told what may be wrong.
func TestRemote_AsksWhatIsNoNode(t *testing.T) {
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", filepath.Join(t.TempDir(), "n"))
	defer s.stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nobody there":          {[]string{"--addr", free}, "is nodedb serve running there?"},
		"no TLS there":          {[]string{"--addr", s.addr, "--tls"}, "what listens there speaks no TLS: leave --tls and --tls-ca out"},
		"the admin server":      {[]string{"--addr", s.admin}, "is that the port for Redis clients?"},
		"no password is wanted": {[]string{"--addr", s.addr, "--password-file", passwordFile(t)}, "that node wants no password: leave --password-file out"},
	} {
		code, out, errs := run(t, append([]string{"get", "k"}, c.args...)...)
		if code != 1 || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, c.args[1]) {
			t.Errorf("%s: exit %d, %s%s, want %q", name, code, out, errs, c.want)
		}
	}
}

func passwordFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "password")
	writeFile(t, path, "correct horse\n")
	return path
}

// A socket's path that the system would cut or cannot make is refused before anything
// is served.
func TestServe_UnixSocketPath(t *testing.T) {
	dir := t.TempDir()
	for path, c := range map[string]struct {
		code int
		want string
	}{
		filepath.Join(dir, strings.Repeat("x", 108)): {2, "and a socket's path at most 107"},
		filepath.Join(dir, "none", "s"):              {1, "take a --unix-socket in a directory that is there"},
	} {
		code, _, errs := run(t, "serve", "--dir", filepath.Join(dir, "n"), "--addr", "off", "--admin", "off", "--unix-socket", path)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %s, want %d, %q", path, code, errs, c.code, c.want)
		}
	}
}
