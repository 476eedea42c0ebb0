package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/nodedb-go/nodedb/archive"
)

func TestMain(m *testing.M) {
	// The shared compressor and decompressor make their channels at first use.
	// They must not belong to the synctest bubble of whichever test comes first.
	var sealed bytes.Buffer
	_, err := archive.Seal(&sealed, bytes.NewReader(make([]byte, 1<<16)))
	if err == nil {
		var s *archive.Sealed
		if s, err = archive.OpenSealed(bytes.NewReader(sealed.Bytes()), int64(sealed.Len()), ""); err == nil {
			_, err = s.ReadAt(make([]byte, 10), 0)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
