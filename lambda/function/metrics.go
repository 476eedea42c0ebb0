package function

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Namespace of all metrics.
const Namespace = "nodedb"

// Metric is one value of one moment.
type Metric struct {
	Name  string
	Unit  string // one of CloudWatch's: Count, Bytes, Seconds, Milliseconds, None
	Value int64
}

// Dimension is a part of a metric's identity: each combination of values is a
// metric of its own, and is charged for.
type Dimension struct{ Name, Value string }

// Series are metrics under one list of dimensions.
type Series struct {
	Dimensions []Dimension
	Metrics    []string // names of those that it has; nil: all
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

// Emit writes the metrics of one moment as one line in the embedded metric format
// of CloudWatch, once for each series. Fields are in the line to be searched for;
// so are dimensions, of which those of one name have one value in all series.
func Emit(w io.Writer, at time.Time, fields []Dimension, metrics []Metric, series ...Series) error {
	if w == nil {
		return nil
	}
	doc := make(map[string]any, len(fields)+len(metrics)+4)
	for _, f := range fields {
		doc[f.Name] = f.Value
	}
	units := make(map[string]string, len(metrics))
	all := make([]string, 0, len(metrics))
	for _, m := range metrics {
		doc[m.Name], units[m.Name] = m.Value, m.Unit
		all = append(all, m.Name)
	}
	directives := make([]emfDirective, 0, len(series))
	for _, s := range series {
		d := emfDirective{Namespace: Namespace, Dimensions: [][]string{{}}, Metrics: []emfMetric{}}
		for _, dim := range s.Dimensions {
			doc[dim.Name] = dim.Value
			d.Dimensions[0] = append(d.Dimensions[0], dim.Name)
		}
		names := s.Metrics
		if names == nil {
			names = all
		}
		for _, name := range names {
			if unit, ok := units[name]; ok {
				d.Metrics = append(d.Metrics, emfMetric{name, unit})
			}
		}
		directives = append(directives, d)
	}
	doc["_aws"] = map[string]any{"Timestamp": at.UnixMilli(), "CloudWatchMetrics": directives}
	line, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
