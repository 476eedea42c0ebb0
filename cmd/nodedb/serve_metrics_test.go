package main

import (
	"bufio"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// scrape reads the metrics of Redis clients.
func scrape(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	out := make(map[string]float64)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "nodedb_redis_") {
			continue
		}
		if out[name], err = strconv.ParseFloat(value, 64); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Every metric of the Redis door moves as its clients do.
func TestServe_RedisMetrics(t *testing.T) {
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--max-clients", "1", "--dir", filepath.Join(t.TempDir(), "n"))
	before := scrape(t, s.admin)
	dial := func() (net.Conn, *bufio.Reader) {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		return nc, bufio.NewReader(nc)
	}
	nc, r := dial()
	const requests = "PING\r\nSET k v\r\nINCR k\r\n"
	if _, err := nc.Write([]byte(requests)); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for range 3 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		answers += len(line)
	}
	_, full := dial()
	if line, err := full.ReadString('\n'); err != nil || !strings.HasPrefix(line, "-ERR max number of clients") {
		t.Fatalf("%q, %v", line, err)
	}
	after := scrape(t, s.admin)
	for range 100 { // an answer is there a moment before it is counted
		if after["nodedb_redis_sent_bytes_total"] > before["nodedb_redis_sent_bytes_total"] {
			break
		}
		after = scrape(t, s.admin)
	}
	want := map[string]float64{
		"nodedb_redis_clients": 1, "nodedb_redis_clients_max": 0, "nodedb_redis_connections_total": 1,
		"nodedb_redis_connections_refused_total": 1, "nodedb_redis_commands_total": 3, "nodedb_redis_errors_total": 1,
		"nodedb_redis_received_bytes_total": float64(len(requests)), "nodedb_redis_sent_bytes_total": float64(answers),
	}
	if len(before) != len(want) || before["nodedb_redis_clients_max"] != 1 {
		t.Errorf("before: %v", before)
	}
	for name, by := range want {
		if got := after[name] - before[name]; got != by {
			t.Errorf("%s moved by %v, want %v", name, got, by)
		}
	}
	s.stop()
}
