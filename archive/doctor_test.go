package archive_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// careless ignores the condition of a create.
type careless struct{ archive.Store }

func (s careless) Create(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	err := s.Store.Create(ctx, key, body, size)
	if errors.Is(err, archive.ErrExists) {
		if err = s.Store.Delete(ctx, key); err == nil {
			err = s.Store.Create(ctx, key, body, size)
		}
	}
	return err
}

func TestDoctor(t *testing.T) {
	open := func(url string) archive.Store {
		s, _, err := archive.OpenStore(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	file := "file://" + t.TempDir()
	faulty := func(f archivetest.Fault, ops ...archivetest.Op) archive.Store {
		return archivetest.NewFaulty(open("mem://"), archivetest.Always(f, ops...))
	}
	denied := archivetest.NewFaulty(open("mem://"), archivetest.Always(archivetest.Fail, archivetest.OpDelete))
	denied.Err = archive.ErrDenied
	for _, c := range []struct {
		name  string
		store archive.Store
		want  map[string]archive.Finding // of checks that are not passed
	}{
		{"file", open(file), map[string]archive.Finding{"delete refused": archive.FindingWarn}},
		{"mem", open("mem://"), map[string]archive.Finding{"delete refused": archive.FindingWarn}},
		{"cannot delete", denied, nil},
		{"ignores conditions", careless{open(file)}, map[string]archive.Finding{
			"overwrite refused": archive.FindingFail, "overwrite in parts refused": archive.FindingFail,
			"create race": archive.FindingFail, "delete refused": archive.FindingWarn,
		}},
		{"acknowledges only", faulty(archivetest.FalseAck, archivetest.OpCreate), map[string]archive.Finding{
			"read back": archive.FindingFail, "delete refused": archive.FindingSkip}},
		{"unreachable", faulty(archivetest.Fail), map[string]archive.Finding{"create": archive.FindingFail}},
		{"lists late", staleList(open("mem://")), map[string]archive.Finding{"list after write": archive.FindingWarn, "delete refused": archive.FindingWarn}},
	} {
		r, err := archive.Examine(t.Context(), c.store, c.store)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range r.Checks {
			want := c.want[check.Name]
			if want == "" {
				want = archive.FindingPass
			}
			if check.Finding != want || (check.Advice == "") != (want == archive.FindingPass) {
				t.Errorf("%s: %+v, want %s", c.name, check, want)
			}
		}
		if (len(r.Left) > 0) != (c.name == "cannot delete" || c.name == "unreachable") {
			t.Errorf("%s: left %v", c.name, r.Left)
		}
		for name := range c.want {
			if !hasCheck(r, name) {
				t.Errorf("%s: %q was not checked", c.name, name)
			}
		}
	}
}

// staleList lists the newest objects late.
func staleList(s archive.Store) archive.Store {
	f := archivetest.NewFaulty(s, archivetest.Always(archivetest.StaleList, archivetest.OpList))
	f.Lag = 100
	return f
}

func hasCheck(r *archive.DoctorReport, name string) bool {
	for _, c := range r.Checks {
		if c.Name == name {
			return true
		}
	}
	return false
}
