package cost

import (
	"strings"
	"testing"
)

// The sums are those that a person makes by hand from the published prices.
func TestOfThaw(t *testing.T) {
	p, err := ListPrices()
	if err != nil {
		t.Fatal(err)
	}
	const tib = 1 << 40
	for _, c := range []struct {
		class, tier                  string
		requests, retrieval, perWeek float64
	}{
		{"GLACIER", "Expedited", 16.384 * 10, 1024 * 0.03, 1024 * 0.023 * 7 / 30.4},
		{"GLACIER", "Standard", 16.384 * 0.05, 1024 * 0.01, 1024 * 0.023 * 7 / 30.4},
		{"GLACIER", "Bulk", 0, 0, 1024 * 0.023 * 7 / 30.4},
		{"DEEP_ARCHIVE", "standard", 16.384 * 0.1, 1024 * 0.02, 1024 * 0.023 * 7 / 30.4},
		{"DEEP_ARCHIVE", "Bulk", 16.384 * 0.025, 1024 * 0.0025, 1024 * 0.023 * 7 / 30.4},
	} {
		got, ok := p.OfThaw("s3", c.class, c.tier, 16384, tib, 7)
		if !ok {
			t.Errorf("%s %s has no price", c.class, c.tier)
		}
		near(t, c.class+" "+c.tier+" requests", got.Requests, c.requests)
		near(t, c.class+" "+c.tier+" retrieval", got.Retrieval, c.retrieval)
		near(t, c.class+" "+c.tier+" copies", got.Copies, c.perWeek)
		near(t, c.class+" "+c.tier+" in all", got.Total, c.requests+c.retrieval+c.perWeek)
	}
	for _, none := range [][2]string{{"DEEP_ARCHIVE", "Expedited"}, {"STANDARD", "Standard"}, {"NO_SUCH", "Bulk"}} {
		if _, ok := p.OfThaw("s3", none[0], none[1], 1, 1, 1); ok {
			t.Errorf("%v has a price", none)
		}
	}
	const bad = "version: 1\nsource: me\nas_of: 2026-01-01\ncurrency: EUR\nclasses: [{name: a, cloud: s3, thaw: {Bulk: {gib: -2}}}]"
	if _, err := ParsePrices([]byte(bad)); err == nil || !strings.Contains(err.Error(), "-2") {
		t.Errorf("a negative price: %v", err)
	}
}
