package retain

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// days is a history with one base a day, the last one on to.
func days(n int, to time.Time) *Facts {
	f := &Facts{Epochs: []archive.EpochInfo{{Epoch: 1, Timeline: 1, FirstLSN: 1}}, LSNMax: wal.LSN(n + 1)}
	for i := range n {
		at := to.AddDate(0, 0, i+1-n)
		k := archive.BaseKey{Timeline: 1, LSN: wal.LSN(i + 1), ID: "a"}
		f.Bases = append(f.Bases, Base{k, &archive.Manifest{Timeline: 1, LSN: k.LSN, ID: k.ID, Time: at}})
	}
	return f
}

// The calendar keeps the newest base of each day, week, month and year.
func TestCalendar(t *testing.T) {
	to := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday
	f := days(500, to)
	for name, tt := range map[string]struct {
		p    Policy
		want []string
	}{
		"last":    {Policy{Last: 2}, []string{"2026-03-03", "2026-03-04"}},
		"within":  {Policy{Within: 36 * time.Hour}, []string{"2026-03-02", "2026-03-03", "2026-03-04"}},
		"daily":   {Policy{Daily: 3}, []string{"2026-03-02", "2026-03-03", "2026-03-04"}},
		"weekly":  {Policy{Weekly: 3}, []string{"2026-02-22", "2026-03-01", "2026-03-04"}},
		"monthly": {Policy{Monthly: 3}, []string{"2026-01-31", "2026-02-28", "2026-03-04"}},
		"yearly":  {Policy{Yearly: 3}, []string{"2024-12-31", "2025-12-31", "2026-03-04"}},
		"sum":     {Policy{Daily: 2, Yearly: 2}, []string{"2025-12-31", "2026-03-03", "2026-03-04"}},
	} {
		d := Decide(f, tt.p, to)
		var got []string
		for _, b := range f.Bases {
			if keep, _ := d.Base(b.BaseKey); keep {
				got = append(got, b.Manifest.Time.Format(time.DateOnly))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A policy that keeps nothing is refused.
func TestPolicyValid(t *testing.T) {
	if err := (Policy{}).Valid(); !errors.Is(err, ErrNoPolicy) {
		t.Errorf("no rule: %v", err)
	}
	if err := (Policy{Last: 1, Daily: -1}).Valid(); err == nil {
		t.Error("a negative rule passes")
	}
	if got := fmt.Sprint(Policy{Last: 1, Yearly: 2}); got != "keep last 1, yearly 2" {
		t.Errorf("policy in words: %s", got)
	}
}
