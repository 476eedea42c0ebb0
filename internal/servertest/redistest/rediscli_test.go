package redistest

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/internal/resp"
)

// redis-cli as people use it: a script, RESP3, --scan, and --pipe for a mass load.
func TestRedisCLI(t *testing.T) {
	program, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed (Debian package redis-tools): go-redis and rueidis have their own tests")
	}
	l := loopback(t)
	serve(t, resp.Options{Users: resp.Password("secret")}, l)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cli := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"-p", port, "-a", "secret", "--no-auth-warning"}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got, want := cli("SET a 1\nINCR a\nMULTI\nINCR a\nGET a\nEXEC\nGET none\n"), "OK\n2\nOK\nQUEUED\nQUEUED\n3\n3"; got != want {
		t.Errorf("script: %q, want %q", got, want)
	}
	if got := cli("", "-3", "HELLO"); !strings.Contains(got, "proto\n3") && !strings.Contains(got, "proto 3") {
		t.Errorf("HELLO with -3: %q", got)
	}
	if got := cli("", "NOSUCH"); !strings.HasPrefix(got, "ERR unknown command 'NOSUCH'") {
		t.Errorf("an unknown command: %q", got)
	}
	var load strings.Builder
	const many = 2000
	for i := range many {
		k := fmt.Sprintf("pipe:%d", i)
		fmt.Fprintf(&load, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nx\r\n", len(k), k)
	}
	if got, want := cli(load.String(), "--pipe"), fmt.Sprintf("errors: 0, replies: %d", many); !strings.Contains(got, want) {
		t.Errorf("--pipe: %q, want %q", got, want)
	}
	if got := len(strings.Fields(cli("", "--scan", "--pattern", "pipe:*"))); got != many {
		t.Errorf("--scan: %d keys, want %d", got, many)
	}
	if got := cli("", "DBSIZE"); got != fmt.Sprint(many+1) {
		t.Errorf("DBSIZE: %q", got)
	}
}
