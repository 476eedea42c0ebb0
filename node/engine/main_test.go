package engine_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		// A benchmark leaves a Pebble behind that cannot be closed.
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}
