package node

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// The outcome of a request as it is kept for its idempotency key: nothing for
// the zero outcome, else ok (1 byte) and, for Increment, the sum (8 bytes).
func (r *request) result() []byte {
	if len(r.idem) == 0 {
		return nil
	}
	out := make([]byte, 1, 9)
	if r.ok {
		out[0] = 1
	}
	if r.op == opIncrement {
		out = binary.LittleEndian.AppendUint64(out, uint64(r.num))
	}
	return out
}

func (r *request) setResult(p []byte) error {
	want := 1
	if r.op == opIncrement {
		want = 9
	}
	if len(p) != want {
		return r.wrongKind()
	}
	r.ok = p[0] == 1
	if r.op == opIncrement {
		r.num = int64(binary.LittleEndian.Uint64(p[1:]))
	}
	return nil
}

// opOf is the operation as outcomes name it.
var opOf = [...]kv.Op{
	opPut: kv.OpPut, opDelete: kv.OpDelete, opIncrement: kv.OpIncrement, opCompareAndSwap: kv.OpCompareAndSwap,
	opPutIfAbsent: kv.OpPutIfAbsent, opExpire: kv.OpExpire, opBatch: kv.OpBatch,
}

// A stagedOutcome lets a repetition find a request that is not applied yet.
type stagedOutcome struct {
	op     opCode
	ok     bool
	num    int64
	flight *flight
	record int32
}

// repeat answers a request whose idempotency key was used before, with the
// outcome of then; false: it was not. A request whose first execution is still
// on its way is answered in its turn behind that one.
func (c *core) repeat(f *flight, r *request) (bool, error) {
	if first, ok := c.idem[idemKey(r.tenant, r.shard.id, r.idem)]; ok {
		return true, c.repeatStaged(f, r, first)
	}
	ref, err := r.shard.read()
	if err != nil {
		return false, err
	}
	defer ref.Release()
	o, found, err := kv.FindOutcome(ref.Reader(), r.tenant, r.idem)
	if err != nil || !found {
		return false, r.shard.v.Damage(err)
	}
	if o.Op != opOf[r.op] {
		return true, r.wrongKind()
	}
	if err := r.setResult(o.Result); err != nil {
		return true, err
	}
	r.lsn = o.LSN
	f.ops = append(f.ops, stagedOp{r, -1})
	return true, nil
}

func (c *core) repeatStaged(f *flight, r *request, first stagedOutcome) error {
	if first.op != r.op {
		return r.wrongKind()
	}
	r.ok, r.num = first.ok, first.num
	record := first.record
	if first.flight != f {
		// It was appended, so its LSN is known.
		r.lsn, record = first.flight.batch.Record(int(record)).LSN, -1
	}
	f.ops = append(f.ops, stagedOp{r, record})
	return nil
}

func (r *request) wrongKind() error {
	return fmt.Errorf("node: idempotency key %q was used by another kind of request; use a new key for a new request", r.idem)
}

// rememberStaged lets a repetition find the request until its flight ends.
func (c *core) rememberStaged(f *flight, r *request, record int32) {
	key := idemKey(r.tenant, r.shard.id, r.idem)
	c.idem[key] = stagedOutcome{r.op, r.ok, r.num, f, record}
	f.idems = append(f.idems, key)
}

// forgetStaged is called when the outcomes of a flight are stored, or void.
func (c *core) forgetStaged(keys []string) {
	for _, k := range keys {
		delete(c.idem, k)
	}
}

// rewind takes back what was staged after m.
func (c *core) rewind(f *flight, m mark) {
	c.forgetStaged(f.idems[m.idems:])
	f.rewind(m)
}

func idemKey(tenant uint32, vshard uint16, idem []byte) string {
	b := make([]byte, 0, 6+len(idem))
	b = binary.LittleEndian.AppendUint32(b, tenant)
	b = binary.LittleEndian.AppendUint16(b, vshard)
	return string(append(b, idem...))
}
