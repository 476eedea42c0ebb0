package pitr

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// twoStores are two stores of the small archive that cannot do without the base,
// and the names of its contents.
func twoStores(t *testing.T) (k *kit, a, b *memStore, contents []string) {
	k, a = small(t)
	delete(a.objects, a.keys("wal/")[0])
	b = a.clone()
	a.url, b.url = "mem://a", "mem://b"
	contents = a.keys("obj/")
	if len(contents) < 4 {
		t.Fatalf("only %d contents", len(contents))
	}
	return k, a, b, contents
}

func (k *kit) restoreFrom(t *testing.T, o *Options, stores ...archive.Store) error {
	t.Helper()
	var from []*archive.Archive
	for _, s := range stores {
		from = append(from, k.over(t, s).arch)
	}
	plan, err := NewPlan(t.Context(), from, Target{LSN: 4})
	check(t, err)
	fs := newStageFS(t)
	res, err := Restore(t.Context(), plan, "/data/node", k.options(fs, o))
	if err == nil {
		k.compare(plan.Target, res)
	}
	return err
}

// Half of a base is in one store, the other half in another: each file is taken
// from where it is whole.
func TestBaseFromTwoStores(t *testing.T) {
	flip := func(m *memStore, key string) {
		m.change(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	}
	remove := func(m *memStore, key string) { delete(m.objects, key) }
	for name, hurt := range map[string]func(*memStore, string){"damaged": flip, "absent": remove} {
		t.Run(name, func(t *testing.T) {
			k, a, b, contents := twoStores(t)
			for i, key := range contents {
				hurt([]*memStore{a, b}[i%2], key)
			}
			check(t, k.restoreFrom(t, nil, a, b))
			check(t, k.restoreFrom(t, nil, b, a))
		})
	}
	t.Run("the manifest is in the other one", func(t *testing.T) {
		k, a, b, contents := twoStores(t)
		delete(a.objects, a.keys("base/")[0])
		remove(b, contents[0])
		check(t, k.restoreFrom(t, nil, b, a))
	})
	t.Run("one store hangs", func(t *testing.T) {
		k, a, b, _ := twoStores(t)
		hung := archivetest.NewFaulty(a, reads("obj/", func(int) archivetest.Fault { return archivetest.Hang }))
		check(t, k.restoreFrom(t, &Options{AttemptTimeout: 20 * time.Millisecond}, hung, b))
	})
}

// What no store gives is named, with the answer of each; a store that does not
// answer makes it unknown, not absent.
func TestBaseFromNoStore(t *testing.T) {
	tests := []struct {
		name  string
		hurt  func(a, b *memStore, key string)
		plan  archivetest.Plan // of b
		exit  int
		words []string
	}{
		{"absent from both", func(a, b *memStore, key string) { delete(a.objects, key); delete(b.objects, key) }, nil, ExitError,
			[]string{"mem://a: ", "mem://b: ", "not found"}},
		{"absent and damaged", func(a, b *memStore, key string) {
			delete(a.objects, key)
			b.change(key, func(data []byte) []byte { return data[:len(data)/2] })
		}, nil, ExitCorrupt, []string{"mem://a: ", "not found", "mem://b: ", "damaged"}},
		{"absent and unknown", func(a, _ *memStore, key string) { delete(a.objects, key) },
			reads("obj/", func(int) archivetest.Fault { return archivetest.Fail }), ExitUnreachable,
			[]string{"mem://a: ", "not found", "mem://b: ", "unreachable"}},
		{"absent and hung", func(a, _ *memStore, key string) { delete(a.objects, key) },
			reads("obj/", func(int) archivetest.Fault { return archivetest.Hang }), ExitUnreachable,
			[]string{"mem://a: ", "not found", "mem://b: ", "unreachable"}},
		{"absent, and the other was down from the start", func(a, _ *memStore, key string) { delete(a.objects, key) },
			archivetest.Always(archivetest.Fail), ExitUnreachable, []string{"mem://a: ", "not found", "mem://b: ", "unreachable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, a, b, contents := twoStores(t)
			tt.hurt(a, b, contents[1])
			err := k.restoreFrom(t, &Options{AttemptTimeout: 20 * time.Millisecond}, a, archivetest.NewFaulty(b, tt.plan))
			if ExitCode(err) != tt.exit {
				t.Fatalf("exit code %d, want %d: %v", ExitCode(err), tt.exit, err)
			}
			for _, w := range append(tt.words, strings.TrimPrefix(contents[1], archive.NodePrefix(kitNode))) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q: %v", w, err)
				}
			}
		})
	}
}
