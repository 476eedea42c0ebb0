package pitr

import (
	"testing"
	"time"
)

// No object is started after the time is over, and the next run goes on there.
func TestVerifyMaxTime(t *testing.T) {
	k, mem := small(t)
	order, a := k.watched(t, mem)
	now := k.now
	opts := VerifyOptions{Parallel: 1, Ledger: a, MaxTime: 90 * time.Second, Clock: func() time.Time { return now }}
	order.stop = func(string) { now = now.Add(time.Minute) }
	total := len(mem.keys("obj/")) + len(mem.keys("wal/"))
	read := map[string]int{}
	for range total {
		order.keys = nil
		_, err := Verify(t.Context(), a, &opts)
		check(t, err)
		if len(order.keys) == 0 || len(order.keys) >= total {
			t.Fatalf("%d of %d objects were read in 90 s of a minute each", len(order.keys), total)
		}
		for _, key := range order.keys {
			read[key]++
		}
		if len(read) == total {
			break
		}
	}
	if len(read) != total {
		t.Errorf("%d of %d objects were ever read", len(read), total)
	}
	l, err := a.LoadLedger(t.Context())
	check(t, err)
	if len(l.Lines) < total {
		t.Errorf("the ledger knows %d of %d objects", len(l.Lines), total)
	}
}
