package archive

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Every byte of a sealed object counts, also those of its table. Bytes are
// inverted, since a few single bits of headers mean nothing in zstd's format.
func TestCheckContentFindsEveryByte(t *testing.T) {
	content := make([]byte, 9000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(rnd.Uint32() % 7)
	}
	var sealed bytes.Buffer
	info, err := Seal(&sealed, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	k := ObjKey{SHA256: info.SHA256, Zstd: true}
	check := func(data []byte) error {
		var c chunks
		_, _ = c.Write(data) // never fails
		defer c.free()
		return checkContent(k, "n1", &c)
	}
	if err := check(sealed.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i := range sealed.Len() {
		data := bytes.Clone(sealed.Bytes())
		data[i] ^= 0xff
		if err := check(data); err == nil {
			t.Errorf("byte %d of %d is inverted, and nobody sees it", i, sealed.Len())
		}
	}
	for n := range sealed.Len() {
		if err := check(sealed.Bytes()[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes, and nobody sees it", n, sealed.Len())
		}
	}
}
