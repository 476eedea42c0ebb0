package main

import (
	"context"
	"os"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/admin"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/internal/trace"
	"github.com/nodedb-go/nodedb/node"
)

// traceFlags are where traces go.
func traceFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "otlp-endpoint", Usage: "send traces to the OpenTelemetry collector at `URL`, by OTLP over HTTP (default: none are made)"},
		&ucli.Float64Flag{Name: "trace-ratio", Value: 0.01, Usage: "share of the requests that are traced, 0 to 1"},
	}
}

// openTracer is nil without --otlp-endpoint.
func openTracer(c *cli.Call) (*trace.Tracer, error) {
	at := c.String("otlp-endpoint")
	if at == "" {
		return nil, nil
	}
	t, err := trace.New(trace.Options{Endpoint: at, Ratio: c.Float64("trace-ratio"), Version: cli.BuildVersion("nodedb").Version, Logger: c.Log, Env: os.Getenv})
	if err != nil {
		return nil, cli.Hint(cli.Usagef("--otlp-endpoint and --trace-ratio: %w", err), "for example --otlp-endpoint http://127.0.0.1:4318 --trace-ratio 0.01")
	}
	return t, nil
}

// newMeter counts and traces the requests to the stores.
func newMeter(t *trace.Tracer) *admin.Meter {
	m := admin.NewMeter()
	m.Trace = t
	return m
}

// checkpointed traces checkpoints.
func checkpointed(t *trace.Tracer) func(time.Time, node.CheckpointResult, error) {
	if t == nil {
		return nil
	}
	return func(began time.Time, r node.CheckpointResult, err error) {
		t.Checkpoint(began, uint64(r.Flushed), r.RemovedBytes, err)
	}
}

// traceTimeout is how long the last traces may take. They are no reason to fail.
const traceTimeout = 3 * time.Second

func endTracer(c *cli.Call, t *trace.Tracer) {
	ctx, cancel := context.WithTimeout(context.Background(), traceTimeout)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		c.Log.Warn("the last traces are lost: see that the collector runs", "err", err)
	}
}
