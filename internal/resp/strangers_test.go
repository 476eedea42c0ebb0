package resp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gone waits until the server has no clients.
func (r *rig) gone() {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); len(r.s.clients()) > 0; runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatalf("%d clients are still there", len(r.s.clients()))
		}
	}
}

var clientsMost = flag.Int("clients", 4000, "connections of TestManyClients, 10000 for instance; as many as the process may open at most")

// Thousands of connections against a limit of half of them: those inside work, those outside are told or closed, and one that
// goes makes room.
func TestManyClients(t *testing.T) {
	most := *clientsMost
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	most = min(most, int(min(lim.Cur, 1<<20))/2-200) // both ends are ours
	if testing.Short() {
		most = min(most, 600)
	}
	t.Logf("%d connections", most)
	r := serve(t, Options{MaxClients: most / 2})
	inside := make([]*client, most/2)
	for i := range inside {
		inside[i] = r.client()
		if got := inside[i].do("PING"); got != "PONG" {
			t.Fatalf("client %d: %q", i, got)
		}
	}
	told := 0
	for range most / 2 {
		switch got, err := r.client().reply(); {
		case got == "-ERR max number of clients reached":
			told++
		case err == nil:
			t.Fatalf("one too many is answered %q", got)
		}
	}
	if told < most/4 {
		t.Errorf("%d of %d clients too many were told why", told, most/2)
	}
	if got := inside[0].do("SET", "k", "v"); got != "OK" {
		t.Errorf("inside: %q", got)
	}
	if got := inside[0].do("INFO", "clients"); !strings.Contains(got, fmt.Sprintf("connected_clients:%d", most/2)) {
		t.Errorf("INFO: %q", got)
	}
	for _, c := range inside {
		_ = c.nc.Close()
	}
	r.gone()
	if got := r.client().do("GET", "k"); got != "v" {
		t.Errorf("behind the crowd: %q", got)
	}
}

// Half a request and nothing more, of every length: the time limit ends it.
func TestHalfOpen(t *testing.T) {
	r := serve(t, Options{IdleTimeout: 100 * time.Millisecond})
	whole := request("SET", "half", "value")
	var all []*client
	for n := range len(whole) {
		c := r.client()
		c.send(whole[:n])
		all = append(all, c)
	}
	for n, c := range all {
		if got, err := c.reply(); err == nil {
			t.Errorf("%d bytes of a request are answered %q", n, got)
		}
	}
	r.gone()
	if got := r.client().do("EXISTS", "half"); got != "0" {
		t.Errorf("half a request was run: %q", got)
	}
}

// Clients that ask for much and read nothing are given up, and never have more than
// some answers each in memory.
func TestSlowClient(t *testing.T) {
	const size, asks = 2 << 20, 300
	r := serve(t, Options{writeTimeout: 300 * time.Millisecond})
	c := r.client()
	if got := c.do("SET", "big", strings.Repeat("x", size)); got != "OK" {
		t.Fatal(got)
	}
	_ = c.nc.Close()
	r.gone()
	for name, in := range map[string]string{
		"reads":         strings.Repeat(request("GET", "big"), asks),
		"behind writes": request("APPEND", "big", "y") + strings.Repeat(request("GET", "big"), asks),
		"many keys":     strings.Repeat(request("MGET", "big", "big", "big"), asks),
	} {
		slow := r.client()
		peak := peakHeap(t, func() {
			_, err := io.WriteString(slow.nc, in) // fails midway when it is given up
			if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v", name, err)
			}
			r.gone()
		})
		if peak > 300<<20 { // twice that and more was asked for
			t.Errorf("%s: the heap grew to %d MiB", name, peak>>20)
		}
		_ = slow.nc.Close()
	}
}

// peakHeap is the largest heap while fn runs.
func peakHeap(t *testing.T, fn func()) uint64 {
	t.Helper()
	runtime.GC()
	done := make(chan struct{})
	var peak uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	fn()
	close(done)
	wg.Wait()
	return peak
}

// A header that promises much gets memory for what comes.
func TestPromises(t *testing.T) {
	r := serve(t, Options{})
	peak := peakHeap(t, func() {
		for range 50 {
			c := r.client()
			c.send("*1048576\r\n$16777216\r\nabc")
		}
		r.client().do("PING")
	})
	if peak > 256<<20 {
		t.Errorf("the heap grew to %d MiB for 50 promises", peak>>20)
	}
}

// Passwords are in no log, no INFO, no CLIENT LIST and no error.
func TestSecrets(t *testing.T) {
	var log syncBuffer
	users, err := ParseUsers([]byte("user default on >hunter2 tenants=* +read +write +admin\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, Options{Users: users, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	c := r.client()
	var told strings.Builder
	for _, words := range [][]string{{"AUTH", "hunter3"}, {"AUTH", "default", "hunter3"}, {"HELLO", "3", "AUTH", "default", "hunter3"}, {"AUTH", "a", "hunter2", "b"},
		{"AUTH", "hunter2"}, {"CLIENT", "LIST"}, {"CLIENT", "INFO"}, {"INFO"}, {"CONFIG", "GET", "*"}, {"COMMAND"}, {"GET", "k"}} {
		told.WriteString(c.do(words...))
	}
	bad := r.client()
	bad.send(request("AUTH", "hunter2") + "*1\r\n$x\r\nhunter2")
	told.WriteString(bad.read() + bad.read())
	_ = bad.nc.Close()
	_ = c.nc.Close()
	r.gone()
	told.WriteString(log.String())
	for _, secret := range []string{"hunter2", "hunter3"} {
		if at := strings.Index(told.String(), secret); at >= 0 {
			t.Errorf("%s is told: …%s…", secret, told.String()[max(0, at-80):at])
		}
	}
	if !strings.Contains(log.String(), "wrong name or password") {
		t.Error("a wrong password is not logged")
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Over TLS one too many who says no hello holds up nobody.
func TestRefuse_SilentTLS(t *testing.T) {
	users := Everybody()
	r, config := serveTLS(t, Options{Users: users, MaxClients: 1})
	first := r.secure(config)
	first.do("PING")
	for range 2 * refusingMax { // they say nothing
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
	}
	for end := time.Now().Add(30 * time.Second); r.s.metrics.refused.Load() < 2*refusingMax; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d of %d strangers were refused", r.s.metrics.refused.Load(), 2*refusingMax)
		}
	}
	_ = first.nc.Close()
	r.gone()
	if got := r.secure(config).do("PING"); got != "PONG" {
		t.Errorf("behind silent strangers: %q", got)
	}
}

// Over TLS a client who says no hello gives its place back.
func TestHello_SilentTLS(t *testing.T) {
	r, config := serveTLS(t, Options{Users: Everybody(), MaxClients: 1, helloTimeout: 50 * time.Millisecond})
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a silent client reads %d bytes, %v; want the end", n, err)
	}
	r.gone()
	if got := r.secure(config).do("PING"); got != "PONG" {
		t.Errorf("behind a silent stranger: %q", got)
	}
}
