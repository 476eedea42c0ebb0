package archive

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// BenchmarkPipeline holds what an archiver does to a segment (hash, compress in
// seekable frames, encrypt, hash again) against zstd at its fastest alone, as a
// stream on one core and on all. ratio is content over stored bytes.
func BenchmarkPipeline(b *testing.B) {
	data := benchText(64 << 20)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	r, err := ParseRecipients(id.Recipient().String())
	if err != nil {
		b.Fatal(err)
	}
	bench := func(name string, run func() (int64, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var stored int64
			for b.Loop() {
				var err error
				if stored, err = run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data))/float64(stored), "ratio")
		})
	}
	sealTo := func(r *Recipients) (int64, error) {
		o, err := sealBytes(b.Context(), newBudget(math.MaxInt64), r, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return 0, err
		}
		defer o.free()
		return o.size, nil
	}
	bench("zstd-fastest-1", func() (int64, error) { return zstdAlone(data, 1) })
	bench("zstd-fastest-all", func() (int64, error) { return zstdAlone(data, runtime.GOMAXPROCS(0)) })
	bench("seal-hash", func() (int64, error) { return sealTo(nil) })
	bench("seal-hash-encrypt", func() (int64, error) { return sealTo(r) })
}

func zstdAlone(data []byte, cores int) (int64, error) {
	var n countBytes
	w, err := zstd.NewWriter(&n, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(cores))
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
		return 0, err
	}
	err = w.Close()
	return int64(n), err
}

type countBytes int64

func (c *countBytes) Write(p []byte) (int, error) {
	*c += countBytes(len(p))
	return len(p), nil
}

// benchText is like rows: words of a small vocabulary, numbers, some noise.
func benchText(size int) []byte {
	rnd := rand.New(rand.NewPCG(6, 6))
	out := make([]byte, 0, size+32)
	words := make([][]byte, 2000)
	for i := range words {
		words[i] = make([]byte, 3+rnd.IntN(9))
		for j := range words[i] {
			words[i][j] = byte('a' + rnd.IntN(26))
		}
	}
	for len(out) < size {
		out = append(append(out, words[int(rnd.ExpFloat64()*200)%len(words)]...), ' ')
		if rnd.IntN(6) == 0 {
			for range 8 {
				out = append(out, byte(rnd.Uint32()))
			}
		}
	}
	return out[:size]
}
