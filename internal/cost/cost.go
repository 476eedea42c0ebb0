package cost

import "time"

const (
	gib           = 1 << 30
	monthDays     = 30.4
	mergedBytes   = 64 << 20
	readsPerPut   = 2       // the proof, and the look for a later epoch
	smallestBytes = 1 << 10 // of a segment with hardly a record in it
	basesPerMonth = monthDays
)

// Change is what would be otherwise. The zero value changes nothing.
type Change struct {
	ArchiveTimeout time.Duration // 0: segments come as they did
	Compact        bool
	KeepWithin     time.Duration // 0: all that there is
}

// Estimate is what a month costs, and one restore.
type Estimate struct {
	Name     string  `json:"name"`
	Class    string  `json:"class"`
	Objects  float64 `json:"objects"` // stored
	Bytes    float64 `json:"bytes"`   // stored
	Charged  float64 `json:"charged_bytes"`
	Writes   float64 `json:"writes"` // a month
	Reads    float64 `json:"reads"`
	Storage  float64 `json:"storage_cost"`
	Requests float64 `json:"requests_cost"`
	Month    float64 `json:"month_cost"`
	Restore  float64 `json:"restore_cost"` // one, inside the cloud
	Out      float64 `json:"out_cost"`     // on top, when it leaves the cloud
	DaysMin  int     `json:"days_min,omitempty"`
}

// Of estimates what f costs in class c after a change.
func Of(name string, f Facts, c Class, ch Change) Estimate {
	e := Estimate{Name: name, Class: c.Name, DaysMin: c.DaysMin}
	perDay, bytesPerDay := float64(f.Segments)/f.Days, float64(f.SegmentBytes)/f.Days
	days := f.Days
	if ch.KeepWithin > 0 {
		days = min(days, ch.KeepWithin.Hours()/24)
	}
	if ch.ArchiveTimeout > 0 {
		if most := float64(24*time.Hour) / float64(ch.ArchiveTimeout); most > perDay {
			bytesPerDay += (most - perDay) * smallestBytes
			perDay = most
		}
	}
	puts, reads := perDay*monthDays, perDay*monthDays*readsPerPut
	kept, bytes := perDay*days, bytesPerDay*days
	if ch.ArchiveTimeout == 0 && f.LogObjects > 0 { // merged as they are
		kept, bytes = float64(f.LogObjects)*days/f.Days, float64(f.LogBytes)*days/f.Days
	}
	behind := float64(f.RestoreObjects)
	if ch.Compact {
		merged := max(1, bytesPerDay/mergedBytes) // a day's are merged at least daily
		puts, reads = puts+merged*monthDays, reads+perDay*monthDays+merged*monthDays
		kept = min(kept, merged*days+perDay) // the last day's small ones are still there
		behind = min(behind, merged+perDay)
	}
	perBase := 0.0
	if f.Others > 0 {
		perBase = min(float64(f.Others), float64(f.Others)/max(1, f.Days))
	}
	e.Writes, e.Reads = puts+perBase*basesPerMonth, reads
	e.Objects, e.Bytes = kept+float64(f.Others), bytes+float64(f.OtherBytes)
	e.Charged = charged(kept, bytes, c) + charged(float64(f.Others), float64(f.OtherBytes), c)
	e.Storage = e.Charged / gib * c.GiBMonth
	e.Requests = e.Writes/1000*c.Writes1000 + e.Reads/1000*c.Reads1000
	e.Month = e.Storage + e.Requests
	e.Restore = behind/1000*c.Reads1000 + float64(f.RestoreBytes)/gib*c.RetrieveGiB
	e.Out = float64(f.RestoreBytes) / gib * c.OutGiB
	return e
}

// charged is what n objects of bytes together are charged as.
func charged(n, bytes float64, c Class) float64 {
	if n <= 0 {
		return 0
	}
	return n * (max(bytes/n, float64(c.BytesMin)) + float64(c.BytesExtra))
}
