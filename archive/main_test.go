package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/archive"
)

func TestMain(m *testing.M) {
	// The shared compressor makes its channels at first use. They must not
	// belong to the synctest bubble of whichever test comes first.
	if _, err := archive.Seal(io.Discard, bytes.NewReader(make([]byte, 1<<16))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
