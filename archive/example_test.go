package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nodedb-go/nodedb/archive"
)

// An object is created once; whoever comes second is told so.
func ExampleOpenStore() {
	dir, err := os.MkdirTemp("", "archive-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	s, _, err := archive.OpenStore(ctx, "file://"+dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	for range 2 {
		err := s.Create(ctx, archive.Join("node-1", archive.FormatKey{}), strings.NewReader("{}"), 2)
		fmt.Println(errors.Is(err, archive.ErrExists))
	}
	ids, err := archive.Nodes(ctx, s)
	fmt.Println(ids, err)
	// Output:
	// false
	// true
	// [node-1] <nil>
}
