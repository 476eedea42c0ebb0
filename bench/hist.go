package main

import (
	"math/bits"
	"time"
)

// hist counts durations in buckets whose width is 1/64 of their lower bound, so
// a percentile is at most 1.6% off. It belongs to one goroutine; merge brings
// several together. The zero value is ready for use.
type hist struct {
	buckets [64 * 64]uint64
	count   uint64
	max     time.Duration
}

// bucket maps v, in ns, to an index: values below 64 exactly, others by their
// highest bit and the six bits below it.
func bucket(v uint64) int {
	if v < 64 {
		return int(v)
	}
	e := bits.Len64(v) - 7
	return (e+1)*64 + int(v>>e) - 64
}

// lower is the smallest value of bucket i.
func lower(i int) uint64 {
	if i < 64 {
		return uint64(i)
	}
	e := i/64 - 1
	return uint64(64+i%64) << e
}

// add counts n values of d.
func (h *hist) add(d time.Duration, n uint64) {
	if d < 0 {
		d = 0
	}
	h.buckets[bucket(uint64(d))] += n
	h.count += n
	h.max = max(h.max, d)
}

// merge adds what o counted.
func (h *hist) merge(o *hist) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// quantile is a value that a share q of all values does not exceed, 0 when
// nothing was counted.
func (h *hist) quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		seen += n
		if seen > rank {
			return min(time.Duration(lower(i+1)-1), h.max)
		}
	}
	return h.max
}
