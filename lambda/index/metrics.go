package index

import (
	"encoding/json"
	"fmt"
	"time"
)

// counts are what one invocation did.
type counts struct {
	Indexed, Existed, Encrypted, Gone, Foreign, Other, Tests, Poison, Failed, Rows int
	Bytes                                                                          int64
}

type emfMetric struct {
	Name string
	Unit string
}

type emfDirective struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []emfMetric
}

// publish writes the counts as one line in the embedded metric format of
// CloudWatch, which makes metrics of it: namespace nodedb, dimension Function.
func (r *run) publish(begun time.Time) error {
	if r.Metrics == nil {
		return nil
	}
	now, c := r.Clock(), &r.counts
	values := []struct {
		name, unit string
		value      int64
	}{
		{"Indexed", "Count", int64(c.Indexed)}, {"Existed", "Count", int64(c.Existed)}, {"Encrypted", "Count", int64(c.Encrypted)},
		{"Gone", "Count", int64(c.Gone)}, {"Foreign", "Count", int64(c.Foreign)}, {"Other", "Count", int64(c.Other)},
		{"Tests", "Count", int64(c.Tests)}, {"Poison", "Count", int64(c.Poison)}, {"Failed", "Count", int64(c.Failed)},
		{"Rows", "Count", int64(c.Rows)}, {"IndexBytes", "Bytes", c.Bytes}, {"Milliseconds", "Milliseconds", now.Sub(begun).Milliseconds()},
	}
	d := emfDirective{Namespace: "nodedb", Dimensions: [][]string{{"Function"}}}
	doc := map[string]any{"Function": "index"}
	for _, v := range values {
		d.Metrics = append(d.Metrics, emfMetric{v.name, v.unit})
		doc[v.name] = v.value
	}
	doc["_aws"] = map[string]any{"Timestamp": now.UnixMilli(), "CloudWatchMetrics": []emfDirective{d}}
	line, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	_, err = r.Metrics.Write(append(line, '\n'))
	return err
}
