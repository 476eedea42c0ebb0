package lint_test

import (
	"testing"

	"github.com/nodedb-go/nodedb/internal/lint"
)

// TestTree runs every rule over the repository.
func TestTree(t *testing.T) {
	files, err := lint.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("Load found %d files: is the root right?", len(files))
	}
	for _, f := range files {
		for _, rule := range lint.Rules {
			for _, finding := range rule(f) {
				t.Error(finding)
			}
		}
	}
	for _, finding := range append(lint.Imports(files), lint.Doc(files)...) {
		t.Error(finding)
	}
}
