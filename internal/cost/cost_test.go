package cost

import (
	"math"
	"strings"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.001*math.Abs(want)+1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// The sums are those that a person makes by hand.
func TestOf(t *testing.T) {
	p, err := ListPrices()
	if err != nil {
		t.Fatal(err)
	}
	// A segment a minute of 1 MiB for ten days, and a base of 1 GiB in 100 objects.
	f := Facts{Segments: 14400, SegmentBytes: 14400 << 20, Days: 10, Others: 100, OtherBytes: 1 << 30, RestoreObjects: 1000, RestoreBytes: 2 << 30}
	std, err := p.Find("s3", "standard")
	if err != nil {
		t.Fatal(err)
	}
	now := Of("now", f, std, Change{})
	near(t, "storage", now.Storage, (14400.0/1024+1)*0.023)
	near(t, "writes", now.Writes, 1440*30.4+10*30.4)
	near(t, "requests", now.Requests, (1440*30.4+304)/1000*0.005+1440*30.4*2/1000*0.0004)
	second := Of("1s", f, std, Change{ArchiveTimeout: time.Second})
	near(t, "writes at 1 s", second.Writes, 86400*30.4+304)
	merged := Of("1s merged", f, std, Change{ArchiveTimeout: time.Second, Compact: true})
	if merged.Objects >= second.Objects/5 || merged.Requests <= second.Requests {
		t.Errorf("merging: %.0f objects for %.0f, requests %.2f for %.2f", merged.Objects, second.Objects, merged.Requests, second.Requests)
	}
	near(t, "kept a day", Of("", f, std, Change{KeepWithin: 24 * time.Hour}).Storage, (1440.0/1024+1)*0.023)
	// Many small objects are dear where the smallest one is charged as 128 KiB.
	ia, err := p.Find("s3", "STANDARD_IA")
	if err != nil {
		t.Fatal(err)
	}
	small := Facts{Segments: 1000, SegmentBytes: 1000 << 10, Days: 1}
	near(t, "charged", Of("", small, ia, Change{}).Charged, 1000*131072)
}

func TestPrices(t *testing.T) {
	const head = "version: 1\nsource: me\nas_of: 2026-01-01\ncurrency: EUR\n"
	for text, want := range map[string]string{
		"version: 9": "version 9",
		head:         "0 classes",
		"version: 1\ncurrency: EUR\nclasses: [{name: a, cloud: s3}]": "source",
		head + "classes: [{name: a, cloud: s3, gib_mnoth: 1}]":       "gib_mnoth",
		head + "classes: [{name: a, cloud: s3, gib_month: -1}]":      "-1",
		head + "classes: [{name: a, cloud: s3, gib_month: .nan}]":    "NaN",
		head + "classes: [{name: a}]":                                "no cloud",
	} {
		if _, err := ParsePrices([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	p, err := ListPrices()
	if err != nil || !strings.Contains(string(listPrices), "List prices, check yours") {
		t.Fatal(err)
	}
	if _, err := p.Find("file", "GLACIER"); err != nil {
		t.Errorf("a directory is priced like the first cloud: %v", err)
	}
	if _, err := p.Find("gs", "GLACIER"); err == nil || !strings.Contains(err.Error(), "COLDLINE") {
		t.Errorf("unknown class: %v", err)
	}
}

func FuzzParsePrices(f *testing.F) {
	f.Add(listPrices)
	f.Add([]byte("version: 1\nclasses: []"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePrices(data)
		if err == nil && len(p.Of("s3")) == 0 {
			t.Error("no class is found in a table that has some")
		}
	})
}
