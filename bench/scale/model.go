package main

import (
	"math"

	"github.com/nodedb-go/nodedb/internal/cost"
)

// unit is requests and seconds of one thing, or of a day.
type unit struct {
	Puts    float64 `json:"puts"`
	Gets    float64 `json:"gets"` // and what asks for the size of an object
	Lists   float64 `json:"lists"`
	Deletes float64 `json:"deletes"`
	Seconds float64 `json:"seconds"` // of a CPU
}

func (u unit) plus(o unit) unit {
	return unit{u.Puts + o.Puts, u.Gets + o.Gets, u.Lists + o.Lists, u.Deletes + o.Deletes, u.Seconds + o.Seconds}
}

func (u unit) times(n float64) unit {
	return unit{u.Puts * n, u.Gets * n, u.Lists * n, u.Deletes * n, u.Seconds * n}
}

func (u unit) minus(o unit) unit { return u.plus(o.times(-1)) }

func (u unit) requests() float64 { return u.Puts + u.Gets + u.Lists + u.Deletes }

// part is a share of a day: a node's own, or a function's.
type part struct {
	Name        string  `json:"name"`
	Requests    unit    `json:"requests"`
	Invocations float64 `json:"invocations"`
	Seconds     float64 `json:"seconds"` // that functions run, waiting for the store included
	RequestsUSD float64 `json:"requests_usd"`
	FunctionUSD float64 `json:"function_usd"`
	gb          float64
}

// estimate is a day of a fleet.
type estimate struct {
	Nodes      int     `json:"nodes"`
	Parts      []part  `json:"parts"`
	StorageUSD float64 `json:"storage_usd"`
	USD        float64 `json:"usd"`
	PerNodeUSD float64 `json:"usd_per_node"`
	// What has a limit somewhere.
	RequestsPerSecond float64 `json:"requests_per_second"`
	FunctionsAtOnce   float64 `json:"functions_at_once"`
}

// names are the names behind obj/ that one node's archive holds at the end of d:
// what a sweep lists.
func (d day) names() float64 {
	kept := float64(d.Segments * d.KeepDays)
	small := kept
	if d.Merged {
		small = 2*float64(d.Segments) + float64(d.KeepDays) // not merged yet, or not deleted; and a pack a day
	}
	return small + kept // each segment's index stays
}

// of estimates a day of many nodes. Nothing in it depends on more than one node:
// each lists and reads what is its own, so a fleet is a sum.
func of(m measured, d day, nodes int, class cost.Class) estimate {
	s, sweeps := float64(d.Segments), 24*3600/d.Sweep.Seconds()
	listing := unit{Lists: math.Ceil(d.names()/namesPerListing) - 1}
	parts := []part{
		{Name: "nodes", Requests: m.Segment.times(s).plus(m.Base.times(float64(d.Bases)))},
		{Name: "index", Requests: m.Index.times(s), Invocations: math.Ceil(s / eventsPerBatch), gb: indexGB},
		{Name: "sweep", Requests: m.Sweep.plus(listing).times(sweeps).plus(m.Footer.times(s)), Invocations: sweeps, gb: sweepGB},
	}
	if d.Merged {
		parts = append(parts, part{Name: "compact", Requests: m.Pack.plus(listing).plus(m.Merge.times(s)), Invocations: 1, gb: compactGB})
	}
	e := estimate{Nodes: nodes}
	n := float64(nodes)
	for _, p := range parts {
		p.Requests = p.Requests.times(n)
		p.Invocations *= n
		p.RequestsUSD = (p.Requests.Puts+p.Requests.Lists)/1000*class.Writes1000 + p.Requests.Gets/1000*class.Reads1000
		if p.gb > 0 {
			p.Seconds = p.Requests.Seconds + (p.Requests.Puts+p.Requests.Gets+p.Requests.Lists+p.Requests.Deletes)*requestSeconds
			p.FunctionUSD = p.Seconds*p.gb*usdPerGBSecond + p.Invocations*usdPerInvocation
		}
		if p.Name == "index" {
			p.FunctionUSD += p.Invocations * queueActions * usdPerQueueAction
		}
		e.USD += p.RequestsUSD + p.FunctionUSD
		e.RequestsPerSecond += p.Requests.requests() / (24 * 3600)
		e.FunctionsAtOnce += p.Seconds / (24 * 3600)
		e.Parts = append(e.Parts, p)
	}
	kept := n * float64(d.KeepDays) * (s*float64(m.SegmentBytes+m.IndexBytes) + float64(d.Bases)*float64(m.BaseBytes))
	e.StorageUSD = kept / (1 << 30) * class.GiBMonth / 30.4
	e.USD += e.StorageUSD
	e.PerNodeUSD = e.USD / n
	return e
}
