package kit

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// History draws a log of length records for a node of n vshards. The same draws
// give the same log but for the vshards. Keys are few, so they meet again.
func History(rt *rapid.T, length, n int) []wal.Record {
	steps := rapid.SliceOfN(stepGen, length, length).Draw(rt, "steps")
	return Records(steps, n)
}

// Step is one drawn operation.
type Step struct {
	Kind, Tag, Key, Value, Other int
	Expire                       int64
	Idem                         int
	Tenant                       uint32
}

// StepGen draws one operation.
var stepGen = rapid.Custom(func(rt *rapid.T) Step {
	return Step{
		Kind:   rapid.IntRange(0, 19).Draw(rt, "kind"),
		Tag:    rapid.IntRange(0, 5).Draw(rt, "tag"),
		Key:    rapid.IntRange(0, 7).Draw(rt, "key"),
		Other:  rapid.IntRange(0, 7).Draw(rt, "other"),
		Value:  rapid.IntRange(0, 1<<20).Draw(rt, "value"),
		Expire: int64(rapid.IntRange(0, 3).Draw(rt, "expire")) * 1500,
		Idem:   rapid.IntRange(0, 9).Draw(rt, "idem"),
		Tenant: uint32(rapid.IntRange(0, 2).Draw(rt, "tenant")),
	}
})

// Steps draws operations.
func Steps(rt *rapid.T, length int) []Step {
	return rapid.SliceOfN(stepGen, 1, length).Draw(rt, "steps")
}

// Records turns steps into a log for n vshards, from LSN 1.
func Records(steps []Step, n int) []wal.Record {
	var all []wal.Record
	for i, s := range steps {
		all = append(all, s.record(wal.LSN(i+1), n))
	}
	return all
}

// StepKey is the key that a step is about.
func (s Step) StepKey() []byte { return stepKey(s.Tag, s.Key) }

func stepKey(tag, key int) []byte { return fmt.Appendf(nil, "{t%d}/key-%d", tag, key) }

func (s Step) record(lsn wal.LSN, n int) wal.Record {
	key, other := s.StepKey(), stepKey(s.Tag, s.Other)
	value := fmt.Appendf(nil, "v%d", s.Value)
	result := fmt.Appendf(nil, "r%d", s.Value)
	r := wal.Record{LSN: lsn, Time: Time(lsn), Tenant: s.Tenant, VShard: kv.VShardOf(key, n)}
	if s.Idem < 3 {
		r.Idem = fmt.Appendf(nil, "idem-%d", s.Idem)
	}
	switch k := s.Kind; {
	case k < 9:
		r.Type = kv.TypePut
		r.Payload = kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Result: result, Key: key, Value: value, ExpireAt: s.Expire})
	case k < 12:
		r.Type = kv.TypeDelete
		r.Payload = kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Result: result, Key: key})
	case k < 14:
		r.Type = kv.TypeBatch
		r.Payload = kv.AppendBatch(nil, &kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{
			{Key: other, Value: value, ExpireAt: s.Expire}, {Key: key, Delete: true}, {Key: other, Value: result},
		}})
	case k < 17:
		r.Type = kv.TypeExpire
		r.Tenant, r.Idem = 0, nil
		r.Payload = kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance, Keys: []kv.Due{
			{Millis: 3000, Tenant: s.Tenant, Key: key}, {Millis: 2000, Tenant: s.Tenant, Key: other},
		}})
	case k < 18:
		r.Type = kv.TypeResult
		r.Payload = kv.AppendResult(nil, &kv.Result{Op: kv.OpCompareAndSwap, Result: result})
	case k < 19:
		r.Type = kv.TypeIdemPurge
		r.Tenant, r.Idem = 0, nil
		before := Time(lsn) - int64(s.Value%50)
		r.Payload = kv.AppendIdemPurge(nil, &kv.IdemPurge{Op: kv.OpMaintenance, Limit: 1000, BeforeMicros: before})
	default:
		r.Type, r.VShard = wal.TypeNoop, wal.VShardNone
		r.Idem = nil
	}
	return r
}
