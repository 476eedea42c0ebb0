package cli

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// A restore's code does not hide the advice that the cause has.
func TestClassifyStorage(t *testing.T) {
	type answer struct {
		Code Code
		Hint string
		OK   bool
	}
	down := func(class error) error {
		return &pitr.UnreachableError{Store: "s3://b", Op: "plan", Err: &archive.StoreError{Op: "list", Store: "s3://b", Class: class}}
	}
	for name, c := range map[string]struct {
		err  error
		want answer
	}{
		"denied":      {down(archive.ErrDenied), answer{CodeUnreachable, "check the credentials and the permissions of the store", true}},
		"no store":    {down(archive.ErrNoStore), answer{CodeUnreachable, "create the bucket, or check its name", true}},
		"down":        {down(archive.ErrUnreachable), answer{CodeUnreachable, "nothing is known about what the store holds; try again when it answers", true}},
		"throttled":   {archive.ErrThrottled, answer{CodeUnreachable, "the store asks for a slower pace; try again later, or with a lower --parallel", true}},
		"object":      {fmt.Errorf("fetch: %w", archive.ErrCorrupt), answer{CodeCorrupt, "look with: nodedb archive verify; another store, or an earlier target, may still do", true}},
		"log":         {&wal.CorruptError{Path: "x"}, answer{CodeCorrupt, "look with: nodedb wal verify --dir DIR", true}},
		"digest":      {&pitr.DigestError{}, answer{CodeCorrupt, "check the objects with: pitr-restore verify", true}},
		"cold":        {archive.ErrCold, answer{CodeCold, "pitr-restore thaw, with the target of the restore, asks for all that it needs; then try again", true}},
		"fenced":      {archive.ErrFenced, answer{CodeFenced, "stop the other node, or restore this one under a new timeline", true}},
		"not its own": {fmt.Errorf("else"), answer{}},
	} {
		var got answer
		got.Code, got.Hint, got.OK = ClassifyStorage(c.err)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The first classifier decides the code; one behind it may have the advice.
func TestClassify_MergesHints(t *testing.T) {
	say := func(code Code, hint string) Classifier {
		return func(error) (Code, string, bool) { return code, hint, true }
	}
	code, hint := classify(t.Context(), errOutside, []Classifier{say(CodeCorrupt, ""), say(CodeError, "look there")})
	if code != CodeCorrupt || hint != "look there" {
		t.Errorf("got %d, %q", code, hint)
	}
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"no cores": Plural(0, "core"), "1 core": Plural(1, "core"), "1 entry": Plural(1, "entry"), "3 keys": Plural(3, "key"),
		"2,000 entries": Plural(uint64(2000), "entry"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
