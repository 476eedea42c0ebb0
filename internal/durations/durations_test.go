package durations

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	var d Counts
	if got := d.Quantile(.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	d[10], d[12] = 99, 1 // up to 1.024 ms, and one up to 4.096 ms
	if got := d.Quantile(.5); got < 512*time.Microsecond || got > 1024*time.Microsecond {
		t.Errorf("p50 %v", got)
	}
	if got := d.Quantile(.999); got < 2048*time.Microsecond || got > 4096*time.Microsecond {
		t.Errorf("p99.9 %v", got)
	}
	for took, want := range map[time.Duration]int{
		-time.Second: 0, 999: 0, time.Microsecond: 1, 2*time.Microsecond - 1: 1, 2 * time.Microsecond: 2,
		time.Millisecond: 10, 3 * time.Second: 22, 4194304 * time.Microsecond: 23, time.Hour: 23,
	} {
		if got := Bucket(took); got != want {
			t.Errorf("%v is in bucket %d, want %d", took, got, want)
		}
	}
}
