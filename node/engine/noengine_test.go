package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nodedb-go/nodedb/node/engine"
)

// noEngine has the parts of an Engine that a test does not need.
type noEngine struct{}

func (noEngine) AddDigest(context.Context, engine.Reader, *engine.Digest) error { return nil }
func (noEngine) Maintain(*engine.Maintenance) (bool, error)                     { return false, nil }

func dirOf(t testing.TB, n int) string { return fmt.Sprintf("%s-%d", t.Name(), n) }
