package servertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// BuildDuck gives the path of a program that reads Parquet files with DuckDB. It
// needs a C compiler: an error that matches exec.ErrNotFound tells that there is
// none.
func BuildDuck(ctx context.Context) (string, error) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		return "", fmt.Errorf("build duck: no C compiler: %w", err)
	}
	return buildTool(ctx, "duck", "github.com/nodedb-go/nodedb/internal/servertest/duck", "CGO_ENABLED=1")
}
