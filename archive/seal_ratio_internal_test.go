package archive

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// Frames of their own cost ratio. Harder compression of some brings back more
// than that, and is left away where it does harm: what is sealed is smaller than
// what the fastest level makes of the same bytes as one stream.
func TestSealRatio(t *testing.T) {
	const size = 8 << 20
	rnd := rand.New(rand.NewPCG(2, 2))
	var digits bytes.Buffer
	for digits.Len() < size {
		fmt.Fprintf(&digits, `{"key":"user:%08d","value":"%x"}`, rnd.IntN(1e8), rnd.Uint64())
	}
	for _, c := range []struct {
		name string
		data []byte
		most float64
	}{{"words", benchText(size), 0.985}, {"digits", digits.Bytes(), 1}} {
		stream, err := zstdAlone(c.data, 1)
		if err != nil {
			t.Fatal(err)
		}
		info, err := Seal(io.Discard, bytes.NewReader(c.data))
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(info.SealedBytes) / float64(stream); got > c.most {
			t.Errorf("%s: sealed into %.4f of what a stream has, want at most %.3f", c.name, got, c.most)
		} else {
			t.Logf("%s: %.4f", c.name, got)
		}
	}
}
