package sweep

import (
	"time"

	"github.com/nodedb-go/nodedb/lambda/function"
	"github.com/nodedb-go/nodedb/pitr/sweep"
)

// ofNode are the metrics that each node has by itself, where that is asked for.
var ofNode = []string{"WindowEndAgeSeconds", "Gaps", "Unindexed", "Foreign", "Failed"}

// publish writes the metrics of one node.
func (h *Handler) publish(r *sweep.Report) error {
	metrics := []function.Metric{
		count("Failed", failed(r)), count("Problems", r.Attention()),
		{Name: "Milliseconds", Unit: "Milliseconds", Value: r.Took.Milliseconds()},
	}
	if r.Listed {
		metrics = append(metrics, known(r)...)
	}
	node := function.Dimension{Name: "Node", Value: r.NodeID}
	series := []function.Series{{Dimensions: h.dimensions()}}
	if h.NodeMetrics {
		series = append(series, function.Series{Dimensions: append(h.dimensions(), node), Metrics: ofNode})
	}
	return function.Emit(h.Archive.Out, r.At, []function.Dimension{node}, metrics, series...)
}

func count(name string, n int) function.Metric {
	return function.Metric{Name: name, Unit: "Count", Value: int64(n)}
}

// failed counts what has no metric of its own that an alarm looks at.
func failed(r *sweep.Report) int {
	return r.Attention() - r.Count(sweep.Missing, sweep.Unrestorable, sweep.Unindexed, sweep.Foreign, sweep.Stale)
}

// known are the metrics of a node that could be listed.
func known(r *sweep.Report) []function.Metric {
	out := []function.Metric{
		{Name: "WindowEndLSN", Unit: "None", Value: int64(r.End.LSN)},
		{Name: "WindowEndAgeSeconds", Unit: "Seconds", Value: int64(r.EndAge / time.Second)},
		count("Gaps", r.Count(sweep.Missing, sweep.Unrestorable)),
		count("Unindexed", r.Unindexed), count("Foreign", r.Foreign), count("Stale", r.Count(sweep.Stale)),
		count("Damaged", r.Count(sweep.Damaged)), count("Collisions", r.Count(sweep.Overlap, sweep.Epoch)),
		count("Segments", r.Segments),
	}
	if x := r.Index; x != nil {
		out = append(out, count("Indexed", x.Indexed), function.Metric{Name: "IndexBytes", Unit: "Bytes", Value: x.Bytes})
	}
	if v := r.Verify; v != nil {
		out = append(out, count("VerifiedObjects", v.Segments+v.Packs+v.Objects+v.Unopened), function.Metric{Name: "VerifiedBytes", Unit: "Bytes", Value: v.Bytes})
	}
	if r.Drill != nil {
		out = append(out, count("Drills", 1))
	}
	return out
}

// publishLeft says how many nodes there was no time for.
func (h *Handler) publishLeft(at time.Time, left int) error {
	return function.Emit(h.Archive.Out, at, nil, []function.Metric{count("Left", left)}, function.Series{Dimensions: h.dimensions()})
}

// nothing says that not even the nodes could be found.
func (h *Handler) nothing(at time.Time) error {
	return function.Emit(h.Archive.Out, at, nil, []function.Metric{count("Failed", 1)}, function.Series{Dimensions: h.dimensions()})
}

func (h *Handler) dimensions() []function.Dimension {
	return []function.Dimension{{Name: "Function", Value: "sweep"}, {Name: "Archive", Value: h.Archive.Name}}
}
