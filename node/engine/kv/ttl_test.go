package kv_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// shard is a vshard 0 of one, with a log that grows.
type shard struct {
	t *testing.T
	*engine.VShard
	lsn wal.LSN
}

func newShard(t *testing.T) *shard {
	return &shard{t: t, VShard: kit.Open(t, kit.NewShared(t, vfs.NewMem()), 0)}
}

func (s *shard) apply(typ wal.Type, tenant uint32, idem string, payload []byte) wal.LSN {
	s.t.Helper()
	s.lsn++
	kit.Apply(s.t, s.VShard, []wal.Record{{
		LSN: s.lsn, Time: kit.Time(s.lsn), Type: typ, Tenant: tenant, Idem: []byte(idem), Payload: payload}}, 1)
	return s.lsn
}

func (s *shard) put(key, value string, expireAt int64) wal.LSN {
	s.t.Helper()
	return s.apply(kv.TypePut, 0, "", kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(key), Value: []byte(value), ExpireAt: expireAt}))
}

func (s *shard) reader() engine.Reader {
	s.t.Helper()
	ref, err := s.Acquire()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(ref.Release)
	return ref.Reader()
}

func (s *shard) digest() string {
	s.t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		s.t.Fatal(err)
	}
	defer snap.Close()
	d, err := snap.Digest(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(d.Entries(), " ", d.String())
}

func (s *shard) maintain(now time.Time) (more bool) {
	s.t.Helper()
	type proposal struct {
		typ     wal.Type
		tenant  uint32
		payload []byte
	}
	var all []proposal
	more, err := kv.New(&kv.Options{IdempotencyTTL: time.Hour}).Maintain(&engine.Maintenance{
		VShard: s.VShard, Now: now, Budget: 2 * time.Millisecond,
		Emit: func(typ wal.Type, tenant uint32, payload []byte) error {
			all = append(all, proposal{typ, tenant, payload})
			return nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range all {
		s.apply(p.typ, p.tenant, "", p.payload)
	}
	return more
}

// TestExpiry: the clock hides, only a record removes; reads agree whatever way
// they take.
func TestExpiry(t *testing.T) {
	s := newShard(t)
	s.put("stays", "1", 0)
	lsn := s.put("goes", "2", 5500)
	r := s.reader()
	full := s.digest()

	e, err := kv.Get(r, 0, []byte("goes"), 5499)
	if diff := cmp.Diff(kv.Entry{Value: []byte("2"), ExpireAt: 5500, LSN: lsn}, e); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, now := range []int64{5500, 9000} {
		if _, err := kv.Get(r, 0, []byte("goes"), now); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("at %d: %v", now, err)
		}
		if ok, err := kv.Has(r, 0, []byte("goes"), now); ok || err != nil {
			t.Errorf("Has at %d: %v, %v", now, ok, err)
		}
		if got := scanKeys(t, r, kv.ScanOptions{NowMillis: now}); len(got) != 1 {
			t.Errorf("scan at %d: %q", now, got)
		}
	}
	if s.digest() != full {
		t.Error("the digest depends on the clock")
	}
	if s.maintain(time.UnixMilli(5499)); s.digest() != full {
		t.Error("removed before its time")
	}
	s.maintain(time.UnixMilli(6000))
	if got := s.digest(); got == full || got[:2] != "1 " {
		t.Errorf("not removed: %s", got)
	}
	if due, err := kv.Expired(s.reader(), 1<<50, 10); len(due) != 0 || err != nil {
		t.Errorf("index entries are left: %v, %v", due, err)
	}
}

// TestExpiryMoved: what was written again after the proposal stays, with its new
// expiry or none.
func TestExpiryMoved(t *testing.T) {
	s := newShard(t)
	s.put("later", "1", 1500)
	s.put("forever", "1", 1500)
	s.put("gone", "1", 1500)
	s.put("again", "1", 1500)
	due, err := kv.Expired(s.reader(), 2000, 10)
	if err != nil || len(due) != 4 {
		t.Fatalf("%v, %v", due, err)
	}
	s.put("later", "2", 70_000)
	s.put("forever", "2", 0)
	s.apply(kv.TypeDelete, 0, "", kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Key: []byte("gone")}))
	s.put("again", "2", 1900)
	s.apply(kv.TypeExpire, 0, "", kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance, Keys: due}))
	if diff := cmp.Diff([]string{"forever", "later"}, scanKeys(t, s.reader(), kv.ScanOptions{})); diff != "" {
		t.Error(diff)
	}
	due, err = kv.Expired(s.reader(), 1<<40, 10)
	if err != nil || len(due) != 1 || string(due[0].Key) != "later" || due[0].Millis != 70_000 {
		t.Errorf("left in the index: %v, %v", due, err)
	}
}

// TestExpiryIndexStaysSmall: a key whose expiry moves with every write leaves one
// index entry per second, not one per write.
func TestExpiryIndexStaysSmall(t *testing.T) {
	s := newShard(t)
	for i := range int64(100) {
		s.put("session", "x", 10_000+i*20)
	}
	due, err := kv.Expired(s.reader(), 1<<40, 1000)
	if err != nil || len(due) > 3 {
		t.Errorf("%d index entries for one key: %v", len(due), err)
	}
	s.maintain(time.UnixMilli(1 << 40))
	if got := scanKeys(t, s.reader(), kv.ScanOptions{}); len(got) != 0 {
		t.Errorf("%q is left", got)
	}
}

// TestExpiredInSlices: a slice takes a bounded number and says that there is more.
func TestExpiredInSlices(t *testing.T) {
	s := newShard(t)
	for i := range 600 {
		s.put(fmt.Sprintf("key-%d", i), "x", 1000+int64(i))
	}
	slices := 1
	for s.maintain(time.UnixMilli(5000)) {
		slices++
	}
	if got := scanKeys(t, s.reader(), kv.ScanOptions{}); len(got) != 0 || slices != 3 {
		t.Errorf("%d keys are left after %d slices", len(got), slices)
	}
	if due, err := kv.Expired(s.reader(), -1, 10); due != nil || err != nil {
		t.Errorf("before 1970: %v, %v", due, err)
	}
}
