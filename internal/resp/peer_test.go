package resp

import (
	"bufio"
	"io"
	"net"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startPeer runs a real redis-server for the test and connects to it.
func startPeer(t *testing.T) func() *client {
	t.Helper()
	path, err := osexec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not on PATH: nothing to compare with")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := osexec.CommandContext(t.Context(), path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	ready, log := false, bufio.NewScanner(out)
	for !ready && log.Scan() {
		ready = strings.Contains(strings.ToLower(log.Text()), "ready to accept connections")
	}
	if !ready {
		t.Fatalf("redis-server does not start: %v", log.Err())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return func() *client {
		t.Helper()
		nc, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return &client{t, nc, bufio.NewReader(nc)}
	}
}

// answer is a reply with its types.
type answer struct {
	kind  byte
	text  string
	parts []answer
}

func (a answer) String() string {
	if a.parts == nil {
		return string(a.kind) + strconv.Quote(a.text)
	}
	var all []string
	for _, p := range a.parts {
		all = append(all, p.String())
	}
	return string(a.kind) + "[" + strings.Join(all, " ") + "]"
}

func (c *client) answer() answer {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	a := answer{kind: line[0], text: strings.TrimSuffix(line[1:], "\r\n")}
	if !strings.ContainsRune("$=*%~", rune(a.kind)) {
		return a
	}
	n, err := strconv.Atoi(a.text)
	if err != nil {
		c.t.Fatalf("header %q", line)
	}
	switch {
	case n < 0:
		return answer{kind: a.kind, text: "(nil)"}
	case a.kind == '$' || a.kind == '=':
		buf := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, buf); err != nil {
			c.t.Fatal(err)
		}
		a.text = string(buf[:n])
		return a
	case a.kind == '%':
		n *= 2
	}
	a.text, a.parts = "", make([]answer, n)
	for i := range a.parts {
		a.parts[i] = c.answer()
	}
	return a
}

// sorted orders groups of n parts, of what is answered in any order.
func (a answer) sorted(n int) answer {
	if a.parts == nil { // an error, or nothing
		return a
	}
	var groups []answer
	for g := range slices.Chunk(a.parts, n) {
		groups = append(groups, answer{kind: 'g', parts: g})
	}
	slices.SortFunc(groups, func(a, b answer) int { return strings.Compare(a.String(), b.String()) })
	return answer{kind: a.kind, parts: slices.Concat([]answer{}, groups)}
}

// settled is the answer to a command without what may differ.
func (a answer) settled(words []string) answer {
	name := strings.ToUpper(words[0])
	switch name {
	case "SMEMBERS", "SINTER", "SUNION", "SDIFF", "HKEYS", "HVALS", "KEYS", "SPOP", "SRANDMEMBER":
		return a.sorted(1)
	case "HGETALL":
		return a.sorted(2)
	case "HRANDFIELD", "ZRANDMEMBER":
		if len(words) == 4 && (len(a.parts) == 0 || a.parts[0].kind != '*') {
			return a.sorted(2)
		}
		return a.sorted(1)
	case "SSCAN", "HSCAN", "ZSCAN":
		if len(a.parts) == 2 {
			n := 2
			if name == "SSCAN" {
				n = 1
			}
			a.parts[1] = a.parts[1].sorted(n)
		}
	case "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME":
		if n, err := strconv.Atoi(a.text); err == nil && n > 1e6 && !strings.HasPrefix(a.text, "41024") {
			a.text = strconv.Itoa((n + 5e5) / 1e6) // the clocks differ; what was set as a date does not
		}
	}
	return a
}
