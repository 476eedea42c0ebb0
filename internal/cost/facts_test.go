package cost

import "testing"

// What is merged already is counted as it is stored, not as it came.
func TestOfMerged(t *testing.T) {
	p, err := ListPrices()
	if err != nil {
		t.Fatal(err)
	}
	std, err := p.Find("s3", "standard")
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Segments: 86400, SegmentBytes: 86400 << 10, LogObjects: 11, LogBytes: 50 << 20, Days: 1}
	e := Of("now", f, std, Change{})
	near(t, "objects", e.Objects, 11)
	near(t, "bytes", e.Bytes, 50<<20)
	near(t, "writes", e.Writes, 86400*30.4)
}
