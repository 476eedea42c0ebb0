// Package kit is what the tests of engine and kv share: a model of the kv engine
// that knows nothing of Pebble, histories of records, and stores in memory.
package kit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// NewShared makes a Shared with the kv engine and small limits, closed at cleanup.
func NewShared(t testing.TB, fs vfs.FS, more ...engine.Engine) *engine.Shared {
	t.Helper()
	s, err := engine.NewShared(&engine.Options{
		FS:            fs,
		CacheBytes:    4 << 20,
		MemtableBytes: 1 << 20,
		ReplayBytes:   16 << 20,
		Engines:       append([]engine.Engine{kv.Engine{}}, more...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Open opens vshard id in its usual place, closed at cleanup.
func Open(t testing.TB, s *engine.Shared, id uint16) *engine.VShard {
	t.Helper()
	v, err := engine.OpenVShard(s, fmt.Sprintf("vshard/%04x", id), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// Apply applies records in live batches of the given size.
func Apply(t testing.TB, v *engine.VShard, records []wal.Record, size int) {
	t.Helper()
	if err := TryApply(v, records, size); err != nil {
		t.Fatal(err)
	}
}

// TryApply is Apply that returns the error.
func TryApply(v *engine.VShard, records []wal.Record, size int) (err error) {
	b := v.NewBatch()
	defer func() {
		if cerr := b.Close(); err == nil {
			err = cerr
		}
	}()
	for i := range records {
		if err := b.Apply(&records[i]); err != nil {
			return err
		}
		if b.Records() >= size {
			if err := b.Commit(0, 0); err != nil {
				return err
			}
		}
	}
	return b.Commit(0, 0)
}

// Of returns the records of one vshard and of the node.
func Of(records []wal.Record, id uint16) []wal.Record {
	var own []wal.Record
	for _, r := range records {
		if r.VShard == id || r.VShard == wal.VShardNone {
			own = append(own, r)
		}
	}
	return own
}

// Put returns a record that puts a key; its vshard is that of the key among n.
func Put(lsn wal.LSN, n int, key, value string) wal.Record {
	return record(lsn, kv.TypePut, kv.VShardOf([]byte(key), n),
		kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(key), Value: []byte(value)}))
}

func record(lsn wal.LSN, typ wal.Type, vshard uint16, payload []byte) wal.Record {
	return wal.Record{LSN: lsn, Time: Time(lsn), Type: typ, Tenant: 7, VShard: vshard, Payload: payload}
}

// Time is the time that tests give to a record.
func Time(lsn wal.LSN) int64 { return 1_700_000_000_000_000 + int64(lsn) }

// Dump returns everything that a store holds, but the applied LSN.
func Dump(t testing.TB, r engine.Reader) []string {
	t.Helper()
	it, err := r.NewIter([]byte{0x01}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, fmt.Sprintf("%x=%x", it.Key(), it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// DumpVShard is Dump of what the vshard holds now.
func DumpVShard(t testing.TB, v *engine.VShard) []string {
	t.Helper()
	ref, err := v.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Release()
	return Dump(t, ref.Reader())
}

// ID is an entry's place in the model.
type ID struct {
	Tenant uint32
	Key    string
}

// Value is what the model holds.
type Value struct {
	Data     string
	ExpireAt int64
	LSN      wal.LSN
}

// Model is the kv engine as a map. It is the judge of the real one.
type Model struct {
	Applied  wal.LSN
	Entries  map[ID]Value
	Outcomes map[ID]kv.Outcome
}

// NewModel returns the empty model.
func NewModel() *Model {
	return &Model{Entries: map[ID]Value{}, Outcomes: map[ID]kv.Outcome{}}
}

// Clone returns a copy.
func (m *Model) Clone() *Model {
	return &Model{Applied: m.Applied, Entries: maps.Clone(m.Entries), Outcomes: maps.Clone(m.Outcomes)}
}

// Apply applies a record that the codec made.
func (m *Model) Apply(t testing.TB, r *wal.Record) {
	t.Helper()
	m.Applied = r.LSN
	var op kv.Op
	var result []byte
	var err error
	switch r.Type {
	case kv.TypePut:
		var p kv.Put
		p, err = kv.DecodePut(r.Payload)
		m.Entries[ID{r.Tenant, string(p.Key)}] = Value{string(p.Value), p.ExpireAt, r.LSN}
		op, result = p.Op, p.Result
	case kv.TypeDelete:
		var d kv.Delete
		d, err = kv.DecodeDelete(r.Payload)
		delete(m.Entries, ID{r.Tenant, string(d.Key)})
		op, result = d.Op, d.Result
	case kv.TypeBatch:
		var b kv.Batch
		b, err = kv.DecodeBatch(r.Payload)
		for _, c := range b.Mutations {
			id := ID{r.Tenant, string(c.Key)}
			if c.Delete {
				delete(m.Entries, id)
			} else {
				m.Entries[id] = Value{string(c.Value), c.ExpireAt, r.LSN}
			}
		}
		op, result = b.Op, b.Result
	case kv.TypeExpire:
		var e kv.Expire
		e, err = kv.DecodeExpire(r.Payload)
		for _, d := range e.Keys {
			id := ID{d.Tenant, string(d.Key)}
			if v, ok := m.Entries[id]; ok && v.ExpireAt != 0 && v.ExpireAt <= d.Millis {
				delete(m.Entries, id)
			}
		}
		op, result = e.Op, e.Result
	case kv.TypeIdemPurge:
		var p kv.IdemPurge
		p, err = kv.DecodeIdemPurge(r.Payload)
		maps.DeleteFunc(m.Outcomes, func(_ ID, o kv.Outcome) bool { return o.TimeMicros < p.BeforeMicros })
		op, result = p.Op, p.Result
	case kv.TypeResult:
		var x kv.Result
		x, err = kv.DecodeResult(r.Payload)
		op, result = x.Op, x.Result
	}
	if err != nil {
		t.Fatalf("model: lsn %d: %v", r.LSN, err)
	}
	if len(r.Idem) > 0 {
		m.Outcomes[ID{r.Tenant, string(r.Idem)}] = kv.Outcome{
			LSN: r.LSN, TimeMicros: r.Time, Type: r.Type, Op: op, Result: slices.Clone(result),
		}
	}
}

// Digest is the digest of the model, by another arithmetic than the engine's.
func (m *Model) Digest() (sum [32]byte, entries uint64) {
	total := new(big.Int)
	for id, v := range m.Entries {
		b := []byte("kv1")
		b = binary.LittleEndian.AppendUint32(b, id.Tenant)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(id.Key)))
		b = append(b, id.Key...)
		b = binary.LittleEndian.AppendUint64(b, uint64(v.ExpireAt))
		b = append(b, v.Data...)
		h := sha256.Sum256(b)
		slices.Reverse(h[:])
		total.Add(total, new(big.Int).SetBytes(h[:]))
	}
	total.Mod(total, new(big.Int).Lsh(big.NewInt(1), 256))
	total.FillBytes(sum[:])
	slices.Reverse(sum[:])
	return sum, uint64(len(m.Entries))
}

// Compare returns what differs between the model and the stores, "" if nothing.
func (m *Model) Compare(t testing.TB, readers ...engine.Reader) string {
	t.Helper()
	got := NewModel()
	for _, r := range readers {
		collect(t, r, got)
	}
	for id, want := range m.Entries {
		if have, ok := got.Entries[id]; !ok || have != want {
			return fmt.Sprintf("entry %v: got %v (found %v), want %v", id, have, ok, want)
		}
	}
	for id, have := range got.Entries {
		if _, ok := m.Entries[id]; !ok {
			return fmt.Sprintf("entry %v: got %v, want none", id, have)
		}
	}
	for id, want := range m.Outcomes {
		if diff := compareOutcome(id, want, readers); diff != "" {
			return diff
		}
	}
	return ""
}

func collect(t testing.TB, r engine.Reader, into *Model) {
	t.Helper()
	var tenants []uint32
	if err := kv.Tenants(r, func(tenant uint32) bool { tenants = append(tenants, tenant); return true }); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		s, err := kv.NewScan(r, &kv.ScanOptions{Tenant: tenant})
		if err != nil {
			t.Fatal(err)
		}
		for s.Next() {
			into.Entries[ID{tenant, string(s.Key())}] = Value{string(s.Value()), s.ExpireAt(), s.LSN()}
		}
		if err := s.Close(); err != nil || s.Err() != nil {
			t.Fatal(err, s.Err())
		}
	}
}

func compareOutcome(id ID, want kv.Outcome, readers []engine.Reader) string {
	for _, r := range readers {
		o, ok, err := kv.FindOutcome(r, id.Tenant, []byte(id.Key))
		if err != nil {
			return err.Error()
		}
		if ok && o.LSN == want.LSN && o.TimeMicros == want.TimeMicros && o.Type == want.Type && o.Op == want.Op &&
			string(o.Result) == string(want.Result) {
			return ""
		}
	}
	return fmt.Sprintf("outcome %v: not found as %v", id, want)
}
