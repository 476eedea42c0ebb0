package cost

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed prices.yaml
var listPrices []byte

// Prices is a price table.
type Prices struct {
	Version  int     `yaml:"version" json:"version"`
	Source   string  `yaml:"source" json:"source"`
	AsOf     string  `yaml:"as_of" json:"as_of"`
	Currency string  `yaml:"currency" json:"currency"`
	Classes  []Class `yaml:"classes" json:"-"`
}

// Class is what one storage class of one cloud costs; prices.yaml says in which
// units.
type Class struct {
	Name        string  `yaml:"name" json:"name"`
	Cloud       string  `yaml:"cloud" json:"cloud"` // scheme of the store's URL
	GiBMonth    float64 `yaml:"gib_month" json:"gib_month"`
	Writes1000  float64 `yaml:"writes_1000" json:"writes_1000"`
	Reads1000   float64 `yaml:"reads_1000" json:"reads_1000"`
	RetrieveGiB float64 `yaml:"retrieve_gib" json:"retrieve_gib"`
	OutGiB      float64 `yaml:"out_gib" json:"out_gib"`
	BytesMin    int64   `yaml:"bytes_min" json:"bytes_min"`
	BytesExtra  int64   `yaml:"bytes_extra" json:"bytes_extra"`
	DaysMin     int     `yaml:"days_min" json:"days_min"`

	Thaw map[string]ThawPrice `yaml:"thaw" json:"thaw,omitempty"` // by tier
}

// ListPrices is the table that comes with the program.
func ListPrices() (*Prices, error) { return ParsePrices(listPrices) }

const (
	pricesVersion = 1
	classesMax    = 1000
)

// ParsePrices reads a table. What it does not know is an error: a misspelled
// price would be free.
func ParsePrices(data []byte) (*Prices, error) {
	p := new(Prices)
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("price table: %w", err)
	}
	switch {
	case p.Version < 1 || p.Version > pricesVersion:
		return nil, fmt.Errorf("price table has version %d, known is %d", p.Version, pricesVersion)
	case p.Source == "" || p.AsOf == "" || p.Currency == "":
		return nil, errors.New("price table must say its source, as_of and currency")
	case len(p.Classes) == 0 || len(p.Classes) > classesMax:
		return nil, fmt.Errorf("price table has %d classes, want 1 to %d", len(p.Classes), classesMax)
	}
	for _, c := range p.Classes {
		prices := []float64{c.GiBMonth, c.Writes1000, c.Reads1000, c.RetrieveGiB, c.OutGiB, float64(c.BytesMin), float64(c.BytesExtra), float64(c.DaysMin)}
		for _, t := range c.Thaw {
			prices = append(prices, t.GiB, t.Requests1000)
		}
		for _, f := range prices {
			if f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("price table: class %q has a price of %v", c.Name, f)
			}
		}
		if c.Name == "" || c.Cloud == "" {
			return nil, errors.New("price table: a class has no name or no cloud")
		}
	}
	return p, nil
}

// Of lists the classes of a cloud. A cloud that the table does not know has the
// prices of its first class's cloud: a server of one's own, a directory.
func (p *Prices) Of(cloud string) []Class {
	var out []Class
	for _, c := range p.Classes {
		if c.Cloud == cloud {
			out = append(out, c)
		}
	}
	if len(out) == 0 && cloud != p.Classes[0].Cloud {
		return p.Of(p.Classes[0].Cloud)
	}
	return out
}

// Find is the class of a cloud by name.
func (p *Prices) Find(cloud, name string) (Class, error) {
	var names []string
	for _, c := range p.Of(cloud) {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Class{}, fmt.Errorf("the price table has no class %q for %s: it has %s", name, cloud, strings.Join(names, ", "))
}
