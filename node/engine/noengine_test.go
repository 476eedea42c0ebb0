package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/node/engine"
)

// noEngine has the parts of an Engine that a test does not need.
type noEngine struct{}

func (noEngine) AddDigest(context.Context, pebble.Reader, *engine.Digest) error { return nil }
func (noEngine) Maintain(*engine.Maintenance) (bool, error)                     { return false, nil }

func dirOf(t testing.TB, n int) string { return fmt.Sprintf("%s-%d", t.Name(), n) }
