package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
)

// frozenNode archives a node in s, and lets its log and its base's contents cool
// as a lifecycle rule does. It returns the digest of the last state.
func frozenNode(t *testing.T, s *coldS3, class archive.StorageClass) string {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	store, _, err := archive.OpenStore(ctx, s.url)
	check(err)
	n, err := node.Open(filepath.Join(t.TempDir(), "node"), &node.Options{NodeID: "shop", VShards: 4, BallastBytes: -1,
		SegmentBytes: 16 << 10, Stores: []archive.StoreConfig{{Store: store}}})
	check(err)
	put := func(from, to int) {
		for i := from; i < to; i++ {
			_, err := n.Tenant(0).Put(ctx, fmt.Appendf(nil, "key-%02d", i), bytes.Repeat([]byte{byte(i)}, 100), nil)
			check(err)
		}
	}
	put(0, 20)
	_, err = n.Backup(ctx)
	check(err)
	put(10, 30)
	_, err = n.Seal(ctx)
	check(err)
	put(20, 40)
	d, err := n.Digest(ctx)
	check(err)
	check(errors.Join(n.Close(), store.Close()))
	_, err = s.Freeze(ctx, class, func(key string) bool { return strings.Contains(key, "/wal/") || strings.Contains(key, "/obj/") })
	check(err)
	return d.Digest
}

// run is one command line; the answer is a JSON document.
func run(t *testing.T, want int, doc any, args ...string) (stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := newApp().Run(t.Context(), append(args, "--json"), nil, &out, &errs); code != want {
		t.Fatalf("%q: exit %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	if doc != nil {
		if err := json.Unmarshal(out.Bytes(), doc); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out.String())
		}
	}
	return errs.String()
}

// The way of an operator, over HTTP: a plan that marks, a restore that is refused,
// a thaw that asks for each object once, however often it is run, and a restore
// that is equal to the node.
func TestThawOverHTTP(t *testing.T) {
	s := newColdS3(t)
	digest := frozenNode(t, s, "DEEP_ARCHIVE")
	at := []string{"--archive", s.url, "--latest"}
	with := func(verb string, more ...string) []string { return append(append([]string{verb}, at...), more...) }
	dir := filepath.Join(t.TempDir(), "back")

	var plan struct {
		Cold []struct {
			Key  string `json:"key"`
			Thaw bool   `json:"must_thaw"`
		} `json:"cold"`
	}
	run(t, 0, &plan, with("plan")...)
	var marked []string
	for _, c := range plan.Cold {
		if c.Thaw {
			marked = append(marked, "202 Bulk 3 nodedb/v1/shop/"+c.Key)
		}
	}
	if len(marked) < 3 {
		t.Fatalf("the plan marks %+v", plan.Cold)
	}
	if text := run(t, 8, nil, with("restore", "--target-dir", dir)...); !strings.Contains(text, "pitr-restore thaw") {
		t.Errorf("a refused restore says %s", text)
	}

	var look thawDoc
	run(t, 0, &look, with("thaw")...)
	if len(s.requests()) != 0 || len(look.Offers) != 2 || !look.Offers[0].Priced || look.Offers[0].Total <= look.Offers[1].Total || look.Classes[0].Frozen != len(marked) {
		t.Errorf("looking only: %q, %+v", s.requests(), look)
	}
	run(t, 2, nil, with("thaw", "--apply", "--tier", "expedited")...)

	// The store refuses in the middle; the next run goes on.
	left := 2
	s.Refuse = func(string) error {
		if left--; left < 0 {
			return archive.ErrThrottled
		}
		return nil
	}
	text := run(t, 6, nil, with("thaw", "--apply", "--tier", "bulk", "--days", "3", "--parallel", "1")...)
	if !strings.Contains(text, "no capacity") || !strings.Contains(text, "2 objects were asked for") {
		t.Errorf("cut off: %s", text)
	}
	s.Refuse = nil
	run(t, 8, nil, with("thaw", "--apply", "--tier", "bulk", "--days", "3")...)
	granted := slices.DeleteFunc(s.requests(), func(r string) bool { return strings.HasPrefix(r, "503") })
	slices.Sort(granted)
	slices.Sort(marked)
	if !slices.Equal(granted, marked) {
		t.Errorf("asked for\n%q\nwant\n%q", granted, marked)
	}
	before := len(s.requests())
	run(t, 8, nil, with("thaw", "--apply")...)
	s.Finish()
	var ready thawDoc
	run(t, 0, &ready, with("thaw", "--apply", "--wait", "--poll", "1ms")...)
	if len(s.requests()) != before || !ready.Ready || ready.Until.Year() != 2030 || ready.Classes[0].Readable != len(marked) {
		t.Errorf("readable: %q, %+v", s.requests()[before:], ready)
	}
	var back struct{ Digest string }
	run(t, 0, &back, with("restore", "--target-dir", dir)...)
	if back.Digest != digest {
		t.Errorf("digest %s, want %s", back.Digest, digest)
	}
}

// --wait asks, waits and ends when the store has brought everything back.
func TestThawWaits(t *testing.T) {
	s := newColdS3(t)
	frozenNode(t, s, "GLACIER")
	var finishing sync.WaitGroup
	defer finishing.Wait()
	s.Refuse = func(string) error {
		finishing.Go(s.Finish) // it waits until this request is noted
		return nil
	}
	var doc thawDoc
	run(t, 0, &doc, "thaw", "--archive", s.url, "--latest", "--apply", "--wait", "--poll", "1ms", "--parallel", "1", "--tier", "Expedited")
	if !doc.Ready || doc.Asked != len(doc.Objects) || doc.Asked == 0 {
		t.Errorf("%+v", doc)
	}
	if n, _ := doc.Count(archive.Readable); n != len(doc.Objects) {
		t.Errorf("%d of %d readable", n, len(doc.Objects))
	}
}
