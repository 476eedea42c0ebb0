package node_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node"
)

// A model is what a node's tenants hold.
type model map[uint32]map[string]string

// scanModel is what a scan must yield.
func (m model) scan(tenant uint32, o node.ScanOptions, after string) []string {
	keys := slices.SortedFunc(maps.Keys(m[tenant]), func(a, b string) int {
		if o.Reverse {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	})
	var got []string
	for _, k := range keys {
		switch {
		case !strings.HasPrefix(k, string(o.Prefix)),
			o.From != nil && k < string(o.From),
			o.To != nil && k >= string(o.To),
			after != "" && !o.Reverse && k <= after,
			after != "" && o.Reverse && k >= after,
			o.Limit > 0 && len(got) >= o.Limit:
		default:
			got = append(got, k+"="+m[tenant][k])
		}
	}
	return got
}

// collect reads a scan to its end; cursor is that of its last key.
func collect(t *rapid.T, db *node.DB, o node.ScanOptions) (got []string, cursor, last string) {
	s, err := db.Scan(t.Context(), o)
	if err != nil {
		t.Fatalf("Scan(%+v): %v", o, err)
	}
	for s.Next() {
		got = append(got, fmt.Sprintf("%s=%s", s.Key(), s.Value()))
		last, cursor = string(s.Key()), s.Cursor()
	}
	if err := s.Err(); err != nil {
		t.Fatalf("Scan(%+v): %v", o, err)
	}
	if s.Next() {
		t.Fatalf("Scan(%+v): Next after the end", o)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return got, cursor, last
}

// keyGen gives keys that share prefixes and hold the bytes that break encodings.
var keyGen = rapid.Custom(func(t *rapid.T) []byte {
	alphabet := []byte{'a', 'b', 0x00, 0xff, '{', '}'}
	return rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 5).Draw(t, "key")
})

func drawScan(t *rapid.T) node.ScanOptions {
	o := node.ScanOptions{
		Reverse:    rapid.Bool().Draw(t, "reverse"),
		Consistent: rapid.Bool().Draw(t, "consistent"),
		Limit:      rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "limit"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "bounds") {
	case 0:
	case 1:
		o.Prefix = keyGen.Draw(t, "prefix")
	case 2:
		o.From, o.To = keyGen.Draw(t, "from"), keyGen.Draw(t, "to")
		if bytes.Compare(o.From, o.To) > 0 {
			o.From, o.To = o.To, o.From
		}
	case 3:
		o.Prefix, o.From = keyGen.Draw(t, "prefix"), keyGen.Draw(t, "from")
	}
	return o
}

// Scans over several vshards give what a sorted map gives: in both directions,
// with bounds, prefixes and limits, for several tenants, and with cursors that go
// on after a restart with another number of cores.
func TestScan_EqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		reopen := func() *node.Node {
			o := rotating(fs)
			o.VShards = 0
			o.Cores = rapid.IntRange(1, 3).Draw(t, "cores")
			n, err := node.Open("/db", o)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		stop := func(n *node.Node) {
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		n := reopen()
		m := model{0: {}, 1: {}, 1 << 31: {}}
		tenants := []uint32{0, 1, 1 << 31}
		for range rapid.IntRange(0, 60).Draw(t, "changes") {
			tenant := rapid.SampledFrom(tenants).Draw(t, "tenant")
			key, value := keyGen.Draw(t, "key"), fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "value"))
			if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
				if _, err := n.Tenant(tenant).Delete(t.Context(), key, nil); err != nil {
					t.Fatal(err)
				}
				delete(m[tenant], string(key))
				continue
			}
			if _, err := n.Tenant(tenant).Put(t.Context(), key, []byte(value), nil); err != nil {
				t.Fatal(err)
			}
			m[tenant][string(key)] = value
		}
		var held []uint32
		for _, tenant := range tenants {
			if len(m[tenant]) > 0 {
				held = append(held, tenant)
			}
		}
		if got, err := n.Tenants(t.Context()); err != nil || !gocmp.Equal(got, held) {
			t.Fatalf("Tenants = %v, %v, want %v", got, err, held)
		}
		for range 6 {
			tenant, o := rapid.SampledFrom(tenants).Draw(t, "tenant"), drawScan(t)
			got, cursor, last := collect(t, n.Tenant(tenant), o)
			if diff := gocmp.Diff(m.scan(tenant, o, ""), got); diff != "" {
				t.Fatalf("scan %+v of tenant %d (-want +got):\n%s", o, tenant, diff)
			}
			if cursor == "" {
				continue
			}
			if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
				stop(n)
				n = reopen()
			}
			want := m.scan(tenant, o, last)
			o.Cursor = cursor
			if got, _, _ := collect(t, n.Tenant(tenant), o); !gocmp.Equal(got, want) {
				t.Fatalf("scan %+v from the cursor behind %q: %q, want %q", o, last, got, want)
			}
		}
		stop(n)
	})
}

// A scan sees the state of when it began, whatever is written while it runs.
func TestScan_Snapshot(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		n := memNode(t, nil)
		db := n.Tenant(0)
		for i := range 100 {
			mustPut(t, db, fmt.Sprintf("k%03d", i), "old")
		}
		s, err := db.Scan(t.Context(), node.ScanOptions{Consistent: consistent})
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for s.Next() {
			if string(s.Value()) != "old" {
				t.Fatalf("%s = %s", s.Key(), s.Value())
			}
			mustPut(t, db, fmt.Sprintf("k%03d", 99-count), "new")
			mustPut(t, db, fmt.Sprintf("k%03d-new", count), "new")
			count++
		}
		if s.Err() != nil || count != 100 || (s.LSN() != 0) != consistent {
			t.Fatalf("%d keys, LSN %d, %v", count, s.LSN(), s.Err())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A cursor that is none, or of another direction, is refused.
func TestScan_BadCursor(t *testing.T) {
	db := memNode(t, nil).Tenant(0)
	for _, cursor := range []string{"x", "!!!", strings.Repeat("A", 1<<17)} {
		if s, err := db.Scan(t.Context(), node.ScanOptions{Cursor: cursor}); err == nil {
			_ = s.Close()
			t.Errorf("cursor %.10q was accepted", cursor)
		}
	}
}
