package archivetest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "gocloud.dev/blob/memblob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

func openMem(t *testing.T) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Without faults the wrapper changes nothing.
func TestFaultyHealthy(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store { return archivetest.NewFaulty(openMem(t), nil) })
}

func keys(t *testing.T, s archive.Store) (out []string) {
	t.Helper()
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Key)
	}
	return out
}

// Each fault does what it says, and nothing else.
func TestFaultyFaults(t *testing.T) {
	create := func(s archive.Store, key string) error {
		return s.Create(context.Background(), key, strings.NewReader("0123456789"), 10)
	}
	for _, c := range []struct {
		fault archivetest.Fault
		err   error
		there []string
	}{
		{archivetest.None, nil, []string{"k"}},
		{archivetest.Fail, archive.ErrUnreachable, nil},
		{archivetest.LostAck, archive.ErrUnreachable, []string{"k"}},
		{archivetest.FalseAck, nil, nil},
		{archivetest.Truncated, nil, []string{"k"}},
	} {
		s := archivetest.NewFaulty(openMem(t), archivetest.Always(c.fault, archivetest.OpCreate))
		if err := create(s, "k"); !errors.Is(err, c.err) {
			t.Errorf("%v: Create says %v, want %v", c.fault, err, c.err)
		}
		if diff := cmp.Diff(c.there, keys(t, s.Inner())); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.fault, diff)
		}
		if s.Count(c.fault) != 1 || s.Calls() != 1 {
			t.Errorf("%v: counted %d of %d calls", c.fault, s.Count(c.fault), s.Calls())
		}
	}
	s := archivetest.NewFaulty(openMem(t), nil)
	for _, k := range []string{"a", "b", "c"} {
		if err := create(s, k); err != nil {
			t.Fatal(err)
		}
	}
	s.SetPlan(archivetest.Always(archivetest.StaleList))
	if diff := cmp.Diff([]string{"a", "b"}, keys(t, s)); diff != "" {
		t.Errorf("stale list (-want +got):\n%s", diff)
	}
	for fault, want := range map[archivetest.Fault]string{archivetest.Truncated: "01234", archivetest.Flipped: "01234%6789"} {
		s.SetPlan(archivetest.Always(fault))
		r, err := s.ReadRange(t.Context(), "a", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%v: read %q, %v; want %q", fault, got, err, want)
		}
		_ = r.Close()
	}
	s.SetPlan(archivetest.Always(archivetest.Hang))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Stat(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("hang: %v, want the context's end", err)
	}
}

// A seed brings the same faults back.
func TestFaultySeeded(t *testing.T) {
	draw := func() (out []archivetest.Fault) {
		plan := archivetest.Seeded(42, 0.5, archivetest.Fail, archivetest.LostAck)
		for n := range 100 {
			out = append(out, plan(archivetest.OpCreate, "k", n))
		}
		return out
	}
	if diff := cmp.Diff(draw(), draw()); diff != "" {
		t.Errorf("two draws differ:\n%s", diff)
	}
}
