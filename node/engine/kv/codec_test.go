package kv_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// samples are one payload of each kind, with every optional part.
var samples = []struct {
	name    string
	typ     wal.Type
	payload []byte
}{
	{"put", kv.TypePut, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte("key"), Value: []byte("value")})},
	{"put-expiry-result", kv.TypePut, kv.AppendPut(nil, &kv.Put{
		Op: kv.OpIncrement, ExpireAt: 1_700_000_000_123, Result: []byte{1, 2, 3}, Key: []byte("key"), Value: []byte("value")})},
	{"put-empty-value", kv.TypePut, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte{0}})},
	{"delete", kv.TypeDelete, kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Result: []byte{1}, Key: []byte("key")})},
	{"batch", kv.TypeBatch, kv.AppendBatch(nil, &kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Delete: true}, {Key: []byte("c"), ExpireAt: 77}}})},
	{"batch-empty", kv.TypeBatch, kv.AppendBatch(nil, &kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{}})},
	{"expire", kv.TypeExpire, kv.AppendExpire(nil, &kv.Expire{Op: kv.OpMaintenance, Keys: []kv.Due{
		{Millis: 1000, Tenant: 3, Key: []byte("a")}, {Millis: 1 << 40, Tenant: 1<<32 - 1, Key: []byte("bb")}}})},
	{"idem-purge", kv.TypeIdemPurge, kv.AppendIdemPurge(nil, &kv.IdemPurge{Op: kv.OpMaintenance, Limit: 256, BeforeMicros: 1 << 50})},
	{"result", kv.TypeResult, kv.AppendResult(nil, &kv.Result{Op: kv.OpCompareAndSwap, Result: []byte("no")})},
}

// reencode decodes a payload and encodes it again.
func reencode(t wal.Type, p []byte) ([]byte, error) {
	switch t {
	case kv.TypePut:
		v, err := kv.DecodePut(p)
		return kv.AppendPut(nil, &v), err
	case kv.TypeDelete:
		v, err := kv.DecodeDelete(p)
		return kv.AppendDelete(nil, &v), err
	case kv.TypeBatch:
		v, err := kv.DecodeBatch(p)
		return kv.AppendBatch(nil, &v), err
	case kv.TypeExpire:
		v, err := kv.DecodeExpire(p)
		return kv.AppendExpire(nil, &v), err
	case kv.TypeIdemPurge:
		v, err := kv.DecodeIdemPurge(p)
		return kv.AppendIdemPurge(nil, &v), err
	case kv.TypeResult:
		v, err := kv.DecodeResult(p)
		return kv.AppendResult(nil, &v), err
	}
	return nil, fmt.Errorf("type %d", t)
}

const goldenFile = "testdata/codec.v1.txt"

// TestCodecGolden holds the bytes of version 1 of every payload. A difference is
// a change of format: it needs a new flag or type, not a new golden file.
func TestCodecGolden(t *testing.T) {
	var got strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&got, "%s %d %s\n", s.name, s.typ, hex.EncodeToString(s.payload))
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestCodecRoundTrip(t *testing.T) {
	put := kv.Put{Op: kv.OpPut, ExpireAt: 5, Result: []byte("r"), Key: []byte("k"), Value: []byte("v")}
	gotPut, err := kv.DecodePut(kv.AppendPut([]byte("prefix"), &put)[6:])
	if diff := cmp.Diff(put, gotPut, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Error(diff, err)
	}
	batch := kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{{Key: []byte("k"), Value: []byte("v"), ExpireAt: 9}, {Key: []byte("d"), Delete: true}}}
	gotBatch, err := kv.DecodeBatch(kv.AppendBatch(nil, &batch))
	if diff := cmp.Diff(batch, gotBatch, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if n := len(kv.AppendBatch(nil, &batch)); kv.BatchBytes(&batch) < n {
		t.Errorf("BatchBytes %d for %d bytes", kv.BatchBytes(&batch), n)
	}
	for _, s := range samples {
		again, err := reencode(s.typ, s.payload)
		if err != nil || !bytes.Equal(again, s.payload) {
			t.Errorf("%s: %x became %x: %v", s.name, s.payload, again, err)
		}
	}
}

// TestCodecEveryByte: cut anywhere, extended, or with any bit flipped, a payload
// is an error or another valid payload that says exactly what its bytes say.
func TestCodecEveryByte(t *testing.T) {
	for _, s := range samples {
		for n := range s.payload {
			if _, err := reencode(s.typ, s.payload[:n]); err == nil && s.typ != kv.TypePut {
				t.Errorf("%s cut to %d bytes was accepted", s.name, n)
			}
			for bit := range 8 {
				p := bytes.Clone(s.payload)
				p[n] ^= 1 << bit
				again, err := reencode(s.typ, p)
				if err == nil && !bytes.Equal(again, p) {
					t.Errorf("%s byte %d bit %d: accepted %x as %x", s.name, n, bit, p, again)
				}
				if err != nil && !errors.Is(err, kv.ErrMalformed) && !errors.Is(err, kv.ErrNewer) {
					t.Errorf("%s byte %d bit %d: %v is of no class", s.name, n, bit, err)
				}
			}
		}
		if s.typ == kv.TypePut {
			continue // its value has no length of its own
		}
		if _, err := reencode(s.typ, append(bytes.Clone(s.payload), 0)); err == nil {
			t.Errorf("%s with a byte more was accepted", s.name)
		}
	}
}

func TestCodecNewer(t *testing.T) {
	for _, s := range samples {
		p := bytes.Clone(s.payload)
		p[1] |= 0x80
		if _, err := reencode(s.typ, p); !errors.Is(err, kv.ErrNewer) || errors.Is(err, kv.ErrMalformed) {
			t.Errorf("%s with an unknown flag: got %v, want ErrNewer alone", s.name, err)
		}
		p = bytes.Clone(s.payload)
		p[0] = 0
		if _, err := reencode(s.typ, p); !errors.Is(err, kv.ErrMalformed) {
			t.Errorf("%s with op zero: %v", s.name, err)
		}
	}
}

// TestCodecBounds: lengths that lie do not allocate.
func TestCodecBounds(t *testing.T) {
	huge := []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0}
	for _, typ := range []wal.Type{kv.TypePut, kv.TypeDelete, kv.TypeBatch, kv.TypeExpire} {
		allocs := testing.AllocsPerRun(10, func() {
			if _, err := reencode(typ, huge); !errors.Is(err, kv.ErrMalformed) {
				t.Errorf("type %d: %v", typ, err)
			}
		})
		if allocs > 20 {
			t.Errorf("type %d: %v allocations", typ, allocs)
		}
	}
}

func FuzzCodec(f *testing.F) {
	for _, s := range samples {
		f.Add(uint16(s.typ), s.payload)
	}
	f.Fuzz(func(t *testing.T, typ uint16, p []byte) {
		ty := kv.TypePut + wal.Type(typ%6)
		again, err := reencode(ty, p)
		if err == nil && !bytes.Equal(again, p) {
			t.Errorf("type %d: accepted %x as %x", ty, p, again)
		}
		if err != nil && !errors.Is(err, kv.ErrMalformed) && !errors.Is(err, kv.ErrNewer) {
			t.Errorf("type %d: %v is of no class", ty, err)
		}
	})
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"empty key", kv.CheckKey(nil), kv.ErrKeyEmpty},
		{"longest key", kv.CheckKey(make([]byte, kv.KeyBytesMax)), nil},
		{"key too long", kv.CheckKey(make([]byte, kv.KeyBytesMax+1)), kv.ErrKeyTooLarge},
		{"longest value", kv.CheckValue(make([]byte, kv.ValueBytesMax)), nil},
		{"value too long", kv.CheckValue(make([]byte, kv.ValueBytesMax+1)), kv.ErrValueTooLarge},
		{"no expiry", kv.CheckExpiry(0), nil},
		{"expiry before 1970", kv.CheckExpiry(-1), kv.ErrExpiryInvalid},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, tt.want) || tt.want == nil && tt.err != nil {
			t.Errorf("%s: got %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	// What passes the checks fits into a record.
	p := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, ExpireAt: 1, Result: make([]byte, kv.ResultBytesMax),
		Key: make([]byte, kv.KeyBytesMax), Value: make([]byte, kv.ValueBytesMax)})
	if len(p) > wal.PayloadBytesMax {
		t.Errorf("the largest put has %d bytes, a record takes %d", len(p), wal.PayloadBytesMax)
	}
	if _, err := kv.DecodePut(p); err != nil {
		t.Error(err)
	}
}
