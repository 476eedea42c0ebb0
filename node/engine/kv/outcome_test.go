package kv_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func (s *shard) outcome(tenant uint32, idem string) (kv.Outcome, bool) {
	s.t.Helper()
	o, ok, err := kv.FindOutcome(s.reader(), tenant, []byte(idem))
	if err != nil {
		s.t.Fatal(err)
	}
	return o, ok
}

// TestOutcomes: every kind of request keeps its answer, by tenant, also over a
// restart, and also one that changed nothing.
func TestOutcomes(t *testing.T) {
	s := newShard(t)
	add := func(typ wal.Type, idem string, payload []byte) kv.Outcome {
		lsn := s.apply(typ, 5, idem, payload)
		return kv.Outcome{LSN: lsn, TimeMicros: kit.Time(lsn), Type: typ, Result: []byte(idem)}
	}
	want := map[string]kv.Outcome{
		"put": add(kv.TypePut, "put", kv.AppendPut(nil, &kv.Put{Op: kv.OpIncrement, Result: []byte("put"), Key: []byte("k")})),
		"del": add(kv.TypeDelete, "del", kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Result: []byte("del"), Key: []byte("k")})),
		"batch": add(kv.TypeBatch, "batch", kv.AppendBatch(nil, &kv.Batch{Op: kv.OpBatch, Result: []byte("batch"),
			Mutations: []kv.Mutation{{Key: []byte("k")}}})),
		"cas": add(kv.TypeResult, "cas", kv.AppendResult(nil, &kv.Result{Op: kv.OpCompareAndSwap, Result: []byte("cas")})),
	}
	ops := map[string]kv.Op{"put": kv.OpIncrement, "del": kv.OpDelete, "batch": kv.OpBatch, "cas": kv.OpCompareAndSwap}
	check := func(when string) {
		for idem, w := range want {
			w.Op = ops[idem]
			got, ok := s.outcome(5, idem)
			if diff := cmp.Diff(w, got); diff != "" || !ok {
				t.Errorf("%s, %s: %s", when, idem, diff)
			}
			if _, ok := s.outcome(6, idem); ok {
				t.Errorf("%s: tenant 6 sees an outcome of tenant 5", when)
			}
		}
		if _, ok := s.outcome(5, "never"); ok {
			t.Errorf("%s: an outcome of nothing", when)
		}
	}
	check("applied")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	check("flushed")
	s.apply(kv.TypePut, 5, "", kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte("k")}))
	check("after a request without a key")
}

// TestIdemPurge: the oldest outcomes go when their time is over; one that was
// given again later stays.
func TestIdemPurge(t *testing.T) {
	s := newShard(t)
	result := func(idem string) {
		s.apply(kv.TypeResult, 1, idem, kv.AppendResult(nil, &kv.Result{Op: kv.OpPut, Result: []byte(idem)}))
	}
	result("old-1")
	result("again")
	result("old-2")
	result("again")
	result("young")
	if at, ok, err := kv.OldestOutcome(s.reader()); at != kit.Time(1) || !ok || err != nil {
		t.Errorf("oldest: %d, %v, %v", at, ok, err)
	}
	purge := func(limit uint32, before wal.LSN) {
		s.apply(kv.TypeIdemPurge, 0, "", kv.AppendIdemPurge(nil, &kv.IdemPurge{Op: kv.OpMaintenance, Limit: limit, BeforeMicros: kit.Time(before)}))
	}
	has := func(idem string, want bool) {
		t.Helper()
		if _, ok := s.outcome(1, idem); ok != want {
			t.Errorf("%s: found %v, want %v", idem, ok, want)
		}
	}
	purge(1, 4)
	has("old-1", false)
	has("old-2", true)
	purge(100, 4)
	has("old-2", false)
	has("again", true)
	has("young", true)
	if at, _, _ := kv.OldestOutcome(s.reader()); at != kit.Time(4) {
		t.Errorf("oldest after the purge: %d, want %d", at, kit.Time(4))
	}

	// By the clock: everything older than the hour that maintain is set to.
	if s.maintain(time.UnixMicro(kit.Time(4)).Add(time.Hour)) {
		t.Error("purged what is an hour old, not older")
	}
	has("again", true)
	if !s.maintain(time.UnixMicro(kit.Time(6)).Add(time.Hour)) {
		t.Error("nothing purged")
	}
	has("again", false)
	has("young", false)
	if _, ok, err := kv.OldestOutcome(s.reader()); ok || err != nil {
		t.Errorf("outcomes are left: %v", err)
	}
	if s.maintain(time.UnixMicro(kit.Time(99)).Add(time.Hour)) {
		t.Error("more to do, with nothing left")
	}
}
