package admin

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/node"
)

// The p99 of a beat is of what a client waited for: an update that is held up while
// its core runs it shows, although the disk is quick.
func TestPulse_HeldUp(t *testing.T) {
	var ahead atomic.Int64
	opened := time.Now()
	r := newRig(t, Options{}, node.Options{Clock: func() time.Time { return opened.Add(time.Duration(ahead.Load())) }})
	for range 50 {
		r.put("k")
	}
	before := r.pulse(r.node)
	r.put("k")
	_, err := r.node.Tenant(0).Update(t.Context(), []byte("k"), nil, func(tx *node.Tx) error {
		ahead.Add(int64(10 * time.Minute))
		return tx.PutMillis([]byte("k"), []byte("v"), 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	now := r.pulse(r.node)
	// The last bucket begins at 2^22 µs.
	if b := now.since(&before); b.P99 < 4194 || b.P50 > 1 || b.CommitP99 >= b.P99 {
		t.Errorf("p50 %v ms, p99 %v ms, of commits %v ms", b.P50, b.P99, b.CommitP99)
	}
}

// A listener hears what happened in between; without one there is no ticker.
func TestLive(t *testing.T) {
	r := newRig(t, Options{Token: token}, node.Options{})
	ticks, running := make(chan time.Time), make(chan bool, 2)
	r.live.tick = func() (<-chan time.Time, func()) {
		running <- true
		return ticks, func() { running <- false }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/api/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	withToken(q)
	var transport http.Transport
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("it is %s", kind)
	}
	<-running
	lines := bufio.NewScanner(resp.Body)
	beat := func() (b Beat) {
		t.Helper()
		ticks <- time.Now()
		for lines.Scan() {
			if doc, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(doc), &b); err != nil {
					t.Fatal(err)
				}
				return b
			}
		}
		t.Fatal("the stream ended: ", lines.Err())
		return b
	}
	if b := beat(); b.Writes != 0 || b.P99 != 0 || !b.Ready {
		t.Errorf("an idle second: %+v", b)
	}
	r.put("k")
	if b := beat(); b.Writes <= 0 || b.P99 <= 0 || b.Syncs <= 0 || b.Durable != 1 || b.LagBytes <= 0 {
		t.Errorf("a second with a write: %+v", b)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if <-running {
		t.Error("a second ticker")
	}
	if n := r.live.listeners.Load(); n > 1 {
		t.Errorf("%d listeners", n)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A beat tells of what came since the last one.
func TestPulseSince(t *testing.T) {
	at := time.Unix(1000, 0)
	last, now := pulse{at: at}, pulse{at: at.Add(2 * time.Second)}
	a, b := &last.st.Log.Stats, &now.st.Log.Stats
	a.Records, b.Records, a.Bytes, b.Bytes = 10, 30, 1000, 1500
	last.cl.Commands, now.cl.Commands = 50, 40 // set back
	a.SyncMicros[20], b.SyncMicros[20] = 7, 7  // long ago
	b.SyncMicros[8], b.SyncMicros[12] = 97, 3
	last.st.Updates[22], now.st.Updates[22] = 9, 9
	now.st.Updates[9], now.st.Updates[13] = 97, 3
	got := now.since(&last)
	if got.Writes != 10 || got.Bytes != 250 || got.Commands != 0 {
		t.Errorf("rates %+v", got)
	}
	if got.P50 < .256 || got.P50 > .512 || got.P99 < 4.096 || got.P99 > 8.192 {
		t.Errorf("of updates: p50 %v ms, p99 %v ms", got.P50, got.P99)
	}
	if got.CommitP50 < .128 || got.CommitP50 > .256 || got.CommitP99 < 2.048 || got.CommitP99 > 4.096 {
		t.Errorf("of commits: p50 %v ms, p99 %v ms", got.CommitP50, got.CommitP99)
	}
}
