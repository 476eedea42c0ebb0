package kv

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/wal"
)

func TestChanges(t *testing.T) {
	due := []Due{{Millis: 9, Tenant: 4, Key: []byte("a")}, {Millis: 8, Tenant: 5, Key: []byte("b")}}
	for _, c := range []struct {
		name string
		rec  wal.Record
		want []string
		err  error
	}{
		{"put", wal.Record{Type: TypePut, Tenant: 1, Payload: AppendPut(nil, &Put{Op: OpPut, Key: []byte("k"), Value: []byte("v"), ExpireAt: 7})}, []string{"1 put k=v 7"}, nil},
		{"delete", wal.Record{Type: TypeDelete, Tenant: 2, Payload: AppendDelete(nil, &Delete{Op: OpDelete, Key: []byte("k")})}, []string{"2 del k= 0"}, nil},
		{"batch", wal.Record{Type: TypeBatch, Tenant: 3, Payload: AppendBatch(nil, &Batch{Op: OpBatch, Mutations: []Mutation{
			{Key: []byte("k"), Value: []byte("v")}, {Delete: true, Key: []byte("k")}}})}, []string{"3 put k=v 0", "3 del k= 0"}, nil},
		{"expire", wal.Record{Type: TypeExpire, Payload: AppendExpire(nil, &Expire{Op: OpMaintenance, Keys: due})}, []string{"4 expire a= 9", "5 expire b= 8"}, nil},
		{"result", wal.Record{Type: TypeResult, Payload: AppendResult(nil, &Result{Op: OpDelete})}, nil, nil},
		{"control", wal.Record{Type: wal.TypeNoop}, nil, nil},
		{"may be skipped", wal.Record{Type: 200}, nil, nil},
		{"of another engine", wal.Record{Type: 200 | wal.RequiredBit}, nil, ErrNewer},
		{"later kv", wal.Record{Type: typeLast}, nil, ErrNewer},
		{"malformed", wal.Record{Type: TypePut, Payload: []byte{1}}, nil, ErrMalformed},
		{"malformed batch", wal.Record{Type: TypeBatch, Payload: []byte{7, 0, 0, 0, 9, 0, 0, 0}}, nil, ErrMalformed},
	} {
		var got []string
		err := Changes(&c.rec, func(tenant uint32, op string, key, value []byte, expireAt int64) error {
			got = append(got, fmt.Sprintf("%d %s %s=%s %d", tenant, op, key, value, expireAt))
			return nil
		})
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	stop := errors.New("stop")
	rec := wal.Record{Type: TypeExpire, Payload: AppendExpire(nil, &Expire{Op: OpMaintenance, Keys: due})}
	if err := Changes(&rec, func(uint32, string, []byte, []byte, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of emit: %v", err)
	}
}
