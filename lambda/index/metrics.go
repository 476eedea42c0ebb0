package index

import (
	"time"

	"github.com/nodedb-go/nodedb/lambda/function"
)

// counts are what one invocation did.
type counts struct {
	Indexed, Existed, Encrypted, Gone, Foreign, Other, Tests, Poison, Failed, Rows int
	Bytes                                                                          int64
}

// publish writes the counts as metrics with the dimensions Function and Archive: a
// batch may hold segments of several nodes.
func (r *run) publish(begun time.Time) error {
	now, c := r.Clock(), &r.counts
	count := func(name string, n int) function.Metric {
		return function.Metric{Name: name, Unit: "Count", Value: int64(n)}
	}
	return function.Emit(r.Metrics, now, nil, []function.Metric{
		count("Indexed", c.Indexed), count("Existed", c.Existed), count("Encrypted", c.Encrypted), count("Gone", c.Gone),
		count("Foreign", c.Foreign), count("Other", c.Other), count("Tests", c.Tests), count("Poison", c.Poison),
		count("Failed", c.Failed), count("Rows", c.Rows), {Name: "IndexBytes", Unit: "Bytes", Value: c.Bytes},
		{Name: "Milliseconds", Unit: "Milliseconds", Value: now.Sub(begun).Milliseconds()},
	}, function.Series{Dimensions: []function.Dimension{{Name: "Function", Value: "index"}, {Name: "Archive", Value: r.Archive}}})
}
