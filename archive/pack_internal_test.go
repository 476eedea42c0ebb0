package archive

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/wal"
)

func samplePack(n int) *packIndex {
	x := &packIndex{Timeline: 3}
	var at int64
	for i := range n {
		e := packEntry{Offset: at, Bytes: int64(100 + i), First: wal.LSN(1 + 10*i), Last: wal.LSN(10 + 10*i), Epoch: 1, SHA256: [32]byte{byte(i), 7}}
		at += e.Bytes
		x.Entries = append(x.Entries, e)
	}
	return x
}

// Whatever byte of an index is wrong, or missing, it is refused.
func TestPackIndexFlips(t *testing.T) {
	x := samplePack(5)
	data := x.encode()
	got, err := decodePackIndex(data, x.content())
	if diff := cmp.Diff(x, got); err != nil || diff != "" {
		t.Fatalf("decode: %v\n%s", err, diff)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		if _, err := decodePackIndex(bad, x.content()); err == nil {
			t.Errorf("byte %d of %d is flipped, and nobody sees it", i, len(data))
		}
		if _, err := decodePackIndex(data[i:], x.content()); err == nil && i > 0 {
			t.Errorf("%d bytes are missing, and nobody sees it", i)
		}
	}
	if _, err := decodePackIndex(data, x.content()+1); err == nil {
		t.Error("content that the index does not know is accepted")
	}
}

func FuzzPackIndex(f *testing.F) {
	for _, n := range []int{1, 2, 9} {
		x := samplePack(n)
		f.Add(x.encode(), x.content())
	}
	f.Add([]byte(packMagic), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, content int64) {
		x, err := decodePackIndex(data, content)
		if err != nil {
			return
		}
		if !bytes.Equal(x.encode(), data) {
			t.Fatal("encode of what was decoded differs")
		}
	})
}
