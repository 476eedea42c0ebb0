package cost

import "strings"

// ThawPrice is what a tier takes to bring objects back from cold storage.
type ThawPrice struct {
	GiB          float64 `yaml:"gib" json:"gib"`
	Requests1000 float64 `yaml:"requests_1000" json:"requests_1000"`
}

// Thaw is what it costs to bring objects back once.
type Thaw struct {
	Requests  float64 `json:"requests_cost"`
	Retrieval float64 `json:"retrieval_cost"`
	Copies    float64 `json:"copies_cost"` // readable copies, for the days that they are kept
	Total     float64 `json:"cost"`
}

// Add adds another class's.
func (t *Thaw) Add(o Thaw) {
	t.Requests, t.Retrieval, t.Copies, t.Total = t.Requests+o.Requests, t.Retrieval+o.Retrieval, t.Copies+o.Copies, t.Total+o.Total
}

// OfThaw estimates what it costs to bring back objects of bytes together for
// days; ok is false when the table has no price for it.
func (p *Prices) OfThaw(cloud, class, tier string, objects int, bytes int64, days int) (t Thaw, ok bool) {
	c, err := p.Find(cloud, class)
	if err != nil {
		return Thaw{}, false
	}
	for name, price := range c.Thaw {
		if !strings.EqualFold(name, tier) {
			continue
		}
		t.Requests = float64(objects) / 1000 * price.Requests1000
		t.Retrieval = float64(bytes) / gib * price.GiB
		t.Copies = float64(bytes) / gib * p.Of(cloud)[0].GiBMonth * float64(days) / monthDays
		t.Total = t.Requests + t.Retrieval + t.Copies
		return t, true
	}
	return Thaw{}, false
}
