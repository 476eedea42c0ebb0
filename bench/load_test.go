package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHist compares percentiles with those of the sorted values.
func TestHist(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var a, b hist
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(rng.ExpFloat64() * 1e5)
		all = append(all, d)
		if i%2 == 0 {
			a.add(d, 1)
		} else {
			b.add(d, 1)
		}
	}
	a.merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))]
		got := a.quantile(q)
		if got < want || float64(got) > float64(want)*1.017+1 {
			t.Errorf("quantile(%v) = %v, want %v to 1.7%% above", q, got, want)
		}
	}
	if a.quantile(1) != a.max || a.max != all[len(all)-1] {
		t.Errorf("max = %v, quantile(1) = %v, want %v", a.max, a.quantile(1), all[len(all)-1])
	}
	for _, v := range []uint64{0, 1, 63, 64, 65, 127, 128, 1 << 20, 1<<40 + 12345} {
		if i := bucket(v); lower(i) > v || lower(i+1) <= v {
			t.Errorf("%d fell into [%d, %d)", v, lower(i), lower(i+1))
		}
	}
}

// TestOpenLoop shows what coordinated omission is about: one stall of 100 ms in
// a second of 1000 requests is late for a tenth of them, while a client that
// waits for answers sees it once.
func TestOpenLoop(t *testing.T) {
	for _, tt := range []struct {
		name string
		rate float64
		late bool
	}{{"open loop", 1000, true}, {"closed loop", 0, false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				s, err := load{clients: 1, seconds: 1, rate: tt.rate}.run(func(int, *rand.Rand) (int, error) {
					n++
					wait := time.NewTimer(time.Millisecond / 2)
					if n == 100 {
						wait.Reset(100 * time.Millisecond)
					}
					<-wait.C
					return 1, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := s.P99 > 50*time.Millisecond; got != tt.late {
					t.Errorf("p99 = %v after a stall of 100 ms", s.P99)
				}
			})
		})
	}
}

func TestRunStopsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	_, err := load{clients: 3, seconds: 60}.run(func(client int, _ *rand.Rand) (int, error) {
		if client == 1 {
			return 0, boom
		}
		return 1, nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("err = %v, want %v", err, boom)
	}
}

// TestData holds what doc.go says of keys and values.
func TestData(t *testing.T) {
	seen := map[[keyBytes]byte]bool{}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(1000) {
		var k [keyBytes]byte
		mixKey(k[:], i)
		if seen[k] {
			t.Fatalf("key %d comes twice", i)
		}
		seen[k] = true
		if v := valueOf(i); len(v) != valueBytes {
			t.Fatalf("value %d has %d bytes", i, len(v))
		} else if _, err := w.Write(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := float64(packed.Len()) / (1000 * valueBytes); r < 0.4 || r > 0.75 {
		t.Errorf("values compress to %.2f", r)
	}
}
