package wal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBatchLimits(t *testing.T) {
	big := make([]byte, PayloadBytesMax+1)
	tests := []struct {
		name          string
		idem, payload []byte
		want          error
	}{
		{"nothing", nil, nil, nil},
		{"longest key", big[:IdemBytesMax], nil, nil},
		{"longest payload", nil, big[:PayloadBytesMax], nil},
		{"key too long", big[:IdemBytesMax+1], nil, ErrIdemTooLong},
		{"payload too large", nil, big, ErrPayloadTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b Batch
			if err := b.Add(64, 1, 2, []byte("k"), []byte("before")); err != nil {
				t.Fatal(err)
			}
			err := b.Add(64, 1, 2, test.idem, test.payload)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			want := 2
			if test.want != nil {
				want = 1
			}
			if b.Len() != want || string(b.Record(0).Payload) != "before" {
				t.Errorf("%d records, the first %q; want %d", b.Len(), b.Record(0).Payload, want)
			}
			if n, _, reason := decodeRecordLen(b.buf); reason != "" || n != want {
				t.Errorf("buffer holds %d records, %s", n, reason)
			}
		})
	}
}

func decodeRecordLen(b []byte) (n, size int, reason string) {
	for len(b) > 0 {
		_, l, reason := decodeRecord(b)
		if reason != "" {
			return n, size, reason
		}
		n, size, b = n+1, size+l, b[l:]
	}
	return n, size, ""
}

func TestBatchTooLarge(t *testing.T) {
	var b Batch
	payload := make([]byte, PayloadBytesMax)
	if err := b.Add(64, 0, 0, nil, payload); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(64, 0, 0, nil, payload); !errors.Is(err, ErrBatchTooLarge) || b.Len() != 1 {
		t.Errorf("error %v with %d records, want %v", err, b.Len(), ErrBatchTooLarge)
	}
}

// Encode, rewind, encode again: the batch is always what a list of records is.
func TestBatchAsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Batch
		var want []Record
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				r := Record{
					Type: Type(rapid.Uint16().Draw(t, "type")), Tenant: rapid.Uint32().Draw(t, "tenant"),
					VShard:  rapid.Uint16().Draw(t, "vshard"),
					Payload: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"),
				}
				if idem := rapid.SliceOfN(rapid.Byte(), 0, IdemBytesMax).Draw(t, "idem"); len(idem) > 0 {
					r.Idem = idem
				}
				if err := b.Add(r.Type, r.Tenant, r.VShard, r.Idem, r.Payload); err != nil {
					t.Fatal(err)
				}
				want = append(want, r)
			},
			"abandon": func(*rapid.T) { b.Begin(64, 1, 1, nil) },
			"rewind": func(t *rapid.T) {
				n := rapid.IntRange(0, b.Len()).Draw(t, "n")
				b.Rewind(n)
				want = want[:n]
			},
			"reset": func(*rapid.T) {
				b.Reset()
				want = want[:0]
			},
			"": func(t *rapid.T) {
				if b.Len() != len(want) {
					t.Fatalf("%d records, want %d", b.Len(), len(want))
				}
				size := 0
				for i, got := range b.All() {
					if diff := cmp.Diff(want[i], got); diff != "" {
						t.Fatalf("record %d (-want +got):\n%s", i, diff)
					}
					size += got.EncodedLen()
				}
				if b.Size() != size {
					t.Fatalf("size %d, want %d", b.Size(), size)
				}
			},
		})
	})
}

// A payload may be encoded in place, and may use the slice that Begin returned
// as far as it grows.
func TestBatchBeginEnd(t *testing.T) {
	var b Batch
	for i := range 3 {
		if err := b.End(fmt.Appendf(b.Begin(64, 7, 8, []byte("key")), "payload %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range b.All() {
		if want := fmt.Sprintf("payload %d", i); string(r.Payload) != want || string(r.Idem) != "key" {
			t.Errorf("record %d: key %q, payload %q", i, r.Idem, r.Payload)
		}
	}
	allocs := testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 3 {
			if err := b.End(append(b.Begin(64, 7, 8, nil), "payload"...)); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations in a reused batch, want none", allocs)
	}
}

// No LSN is taken by an append that is refused.
func TestRefusedAppendTakesNoLSN(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{PayloadBytesMax: 100})
	put(t, l, "one")
	a := l.NewAppender(nil)
	var empty, large Batch
	if err := large.Add(64, 0, 0, nil, make([]byte, 101)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Append(&empty); !errors.Is(err, ErrEmptyBatch) {
		t.Errorf("empty batch: %v", err)
	}
	if _, _, err := a.Append(&large); !errors.Is(err, ErrPayloadTooLarge) {
		t.Errorf("large payload: %v", err)
	}
	if got := put(t, l, "two"); got != 2 {
		t.Errorf("LSN %d, want 2", got)
	}
	closeLog(t, l)
	if _, _, err := a.Append(&large); err == nil {
		t.Error("append to a closed log")
	}
	if err := l.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	if _, _, err := l.AppendSync(t.Context(), batchOf(t, "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
}

func batchOf(t testing.TB, payloads ...string) *Batch {
	t.Helper()
	var b Batch
	for _, p := range payloads {
		if err := b.Add(64|RequiredBit, 1, 2, nil, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	return &b
}

func TestControlPayloads(t *testing.T) {
	digest := Digest{LSN: 1 << 60, Entries: 1 << 40}
	copy(digest.Sum[:], bytes.Repeat([]byte{1, 2}, 16))
	if got, err := DecodeDigest(digest.Append(nil)); err != nil || got != digest {
		t.Errorf("digest %v, %v", got, err)
	}
	if got, err := DecodeCheckpoint(Checkpoint{77}.Append(nil)); err != nil || got.LSN != 77 {
		t.Errorf("checkpoint %v, %v", got, err)
	}
	if got, err := DecodeRestorePoint(RestorePoint{"α"}.Append(nil)); err != nil || got.Name != "α" {
		t.Errorf("restore point %v, %v", got, err)
	}
	opened := Opened{Version: "v1", Host: "h"}
	if got, err := DecodeOpened(opened.Append(nil)); err != nil || got != opened {
		t.Errorf("opened %v, %v", got, err)
	}
	for name, decode := range map[string]func([]byte) error{
		"digest":     func(p []byte) error { _, err := DecodeDigest(p); return err },
		"checkpoint": func(p []byte) error { _, err := DecodeCheckpoint(p); return err },
		"point":      func(p []byte) error { _, err := DecodeRestorePoint(p); return err },
		"opened":     func(p []byte) error { _, err := DecodeOpened(p); return err },
	} {
		for _, p := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xFF}, 1<<18)} {
			if decode(p) == nil {
				t.Errorf("%s: %d bytes were taken", name, len(p))
			}
		}
	}
	if _, err := DecodeCheckpoint([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0}); !errors.Is(err, ErrVersion) {
		t.Errorf("newer form: %v", err)
	}
}

func TestHexNames(t *testing.T) {
	if got := LSN(0xABC).Hex(); got != "0000000000000abc" {
		t.Error(got)
	}
	if got := Timeline(7).Hex(); got != "00000007" {
		t.Error(got)
	}
	if got := Epoch(0x1_0000_0002).Hex8(); got != "00000002" {
		t.Error(got)
	}
	for _, s := range []string{"", "abc", "0000000000000ABC", "00000000000000000", "000000000000000g", "+000000000000001"} {
		if _, err := ParseHexLSN(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	for _, n := range []LSN{0, 1, 1<<64 - 1} {
		if got, err := ParseHexLSN(n.Hex()); err != nil || got != n {
			t.Errorf("%v: %v, %v", n, got, err)
		}
	}
	if _, ok := ParseSegmentName(SegmentName(0)); ok {
		t.Error("LSN zero was taken as a name")
	}
}
