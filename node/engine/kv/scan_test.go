package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/node/engine/internal/kit"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func scanKeys(t *testing.T, r engine.Reader, o kv.ScanOptions) []string {
	t.Helper()
	s, err := kv.NewScan(r, &o)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for s.Next() {
		keys = append(keys, string(s.Key()))
	}
	if err := errors.Join(s.Err(), s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return keys
}

type item struct {
	Key, Value string
	ExpireAt   int64
	LSN        wal.LSN
}

// model is the scan of a sorted list.
func modelScan(m *kit.Model, o kv.ScanOptions) []item {
	var all []item
	for id, v := range m.Entries {
		k := []byte(id.Key)
		if id.Tenant != o.Tenant || !bytes.HasPrefix(k, o.Prefix) || bytes.Compare(k, o.From) < 0 ||
			o.To != nil && bytes.Compare(k, o.To) >= 0 || v.ExpireAt != 0 && v.ExpireAt <= o.NowMillis {
			continue
		}
		all = append(all, item{id.Key, v.Data, v.ExpireAt, v.LSN})
	}
	slices.SortFunc(all, func(a, b item) int { return strings.Compare(a.Key, b.Key) })
	if o.Reverse {
		slices.Reverse(all)
	}
	return all
}

// mergedScan reads at most limit items; cursor is where to go on.
func mergedScan(t *rapid.T, readers []engine.Reader, o kv.ScanOptions, limit int) (all []item, cursor string) {
	s, err := kv.NewMergedScan(readers, &o)
	if err != nil {
		t.Fatal(err)
	}
	for len(all) < limit && s.Next() {
		all = append(all, item{string(s.Key()), string(s.Value()), s.ExpireAt(), s.LSN()})
	}
	cursor = s.Cursor()
	if err := errors.Join(s.Err(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return all, cursor
}

func drawBound(t *rapid.T, name string) []byte {
	switch rapid.IntRange(0, 2).Draw(t, name) {
	case 0:
		return nil
	case 1:
		return fmt.Appendf(nil, "{t%d}", rapid.IntRange(0, 5).Draw(t, name+" tag"))
	default:
		return fmt.Appendf(nil, "{t%d}/key-%d", rapid.IntRange(0, 5).Draw(t, name+" tag"), rapid.IntRange(0, 7).Draw(t, name+" key"))
	}
}

// TestMergedScanAgainstModel: any range, prefix, direction and clock, over one or
// more vshards, in one go or page by page with cursors.
func TestMergedScanAgainstModel(t *testing.T) {
	shared := kit.NewShared(t, vfs.NewMem())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 5}).Draw(rt, "vshards")
		log := kit.History(rt, rapid.IntRange(1, 100).Draw(rt, "length"), n)
		model := kit.NewModel()
		for i := range log {
			model.Apply(t, &log[i])
		}
		var readers []engine.Reader
		for id := range n {
			runs++
			v, err := engine.OpenVShard(shared, fmt.Sprintf("scan-%d", runs), uint16(id))
			if err != nil {
				rt.Fatal(err)
			}
			defer v.Close()
			kit.Apply(t, v, kit.Of(log, uint16(id)), 6)
			snap, err := v.Snapshot()
			if err != nil {
				rt.Fatal(err)
			}
			defer snap.Close()
			readers = append(readers, snap.Reader())
		}
		o := kv.ScanOptions{
			Tenant:    uint32(rapid.IntRange(0, 3).Draw(rt, "tenant")),
			Prefix:    drawBound(rt, "prefix"),
			From:      drawBound(rt, "from"),
			To:        drawBound(rt, "to"),
			Reverse:   rapid.Bool().Draw(rt, "reverse"),
			NowMillis: rapid.SampledFrom([]int64{0, 1500, 1 << 40}).Draw(rt, "now"),
		}
		want := modelScan(model, o)
		got, _ := mergedScan(rt, readers, o, 1<<30)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%+v: %s", o, diff)
		}
		var paged []item
		limit := rapid.IntRange(1, 7).Draw(rt, "page")
		for {
			page, cursor := mergedScan(rt, readers, o, limit)
			paged = append(paged, page...)
			if len(page) < limit {
				break
			}
			o.Cursor = cursor
		}
		if diff := cmp.Diff(want, paged); diff != "" {
			rt.Fatalf("page by page, %+v: %s", o, diff)
		}
	})
}

// TestScanEdges: keys at the ends of everything.
func TestScanEdges(t *testing.T) {
	s := newShard(t)
	const last = 1<<32 - 1
	keys := []string{"\x00", "\x00\x00", "a", "a\x00", "a\xff", "a\xff\xff", "b", "\xff", "\xff\xff"}
	for _, tenant := range []uint32{0, 1, last} {
		for _, k := range keys {
			s.apply(kv.TypePut, tenant, "", kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(k)}))
		}
	}
	r := s.reader()
	tests := []struct {
		o    kv.ScanOptions
		want []string
	}{
		{kv.ScanOptions{}, keys},
		{kv.ScanOptions{Tenant: last}, keys},
		{kv.ScanOptions{Tenant: 2}, nil},
		{kv.ScanOptions{Tenant: 1, Prefix: []byte("a")}, []string{"a", "a\x00", "a\xff", "a\xff\xff"}},
		{kv.ScanOptions{Tenant: 1, Prefix: []byte("a\xff")}, []string{"a\xff", "a\xff\xff"}},
		{kv.ScanOptions{Tenant: last, Prefix: []byte("\xff")}, []string{"\xff", "\xff\xff"}},
		{kv.ScanOptions{From: []byte("a\x00"), To: []byte("b")}, []string{"a\x00", "a\xff", "a\xff\xff"}},
		{kv.ScanOptions{From: []byte("b"), To: []byte("a")}, nil},
		{kv.ScanOptions{To: []byte{}}, nil},
		{kv.ScanOptions{Prefix: []byte("a"), From: []byte("a\xff")}, []string{"a\xff", "a\xff\xff"}},
		{kv.ScanOptions{Prefix: []byte("a"), To: []byte("a\xff")}, []string{"a", "a\x00"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, scanKeys(t, r, tt.o)); diff != "" {
			t.Errorf("%+v: %s", tt.o, diff)
		}
		tt.o.Reverse = true
		back := scanKeys(t, r, tt.o)
		slices.Reverse(back)
		if diff := cmp.Diff(tt.want, back); diff != "" {
			t.Errorf("reverse %+v: %s", tt.o, diff)
		}
	}
	var tenants []uint32
	if err := kv.Tenants(r, func(tenant uint32) bool { tenants = append(tenants, tenant); return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint32{0, 1, last}, tenants); diff != "" {
		t.Error(diff)
	}
}

func TestCursorRefuses(t *testing.T) {
	s := newShard(t)
	s.put("a", "", 0)
	s.put("b", "", 0)
	m, err := kv.NewMergedScan([]engine.Reader{s.reader()}, &kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Cursor() != "" || !m.Next() {
		t.Fatal("no first key")
	}
	good := m.Cursor()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := scanKeys(t, s.reader(), kv.ScanOptions{Cursor: good}); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after the cursor: %q", got)
	}
	bad := map[string]kv.ScanOptions{
		"other tenant":    {Tenant: 1, Cursor: good},
		"other direction": {Reverse: true, Cursor: good},
		"outside prefix":  {Prefix: []byte("b"), Cursor: good},
		"outside range":   {From: []byte("aa"), Cursor: good},
		"beyond range":    {To: []byte("a"), Cursor: good},
		"no base64":       {Cursor: "***"},
		"too short":       {Cursor: good[:8]},
		"one more":        {Cursor: good + "AA"},
	}
	for i := range good {
		c := []byte(good)
		c[i] ^= 1
		bad[fmt.Sprint("byte ", i)] = kv.ScanOptions{Cursor: string(c)}
	}
	for name, o := range bad {
		if _, err := kv.NewScan(s.reader(), &o); !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("%s: got %v, want ErrBadCursor", name, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("AQAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, cursor string) {
		s, err := kv.NewScan(nothing{}, &kv.ScanOptions{Cursor: cursor})
		if err != nil && !errors.Is(err, kv.ErrBadCursor) && !errors.Is(err, errNothing) {
			t.Error(err)
		}
		if s != nil {
			_ = s.Close()
		}
	})
}

var errNothing = errors.New("nothing to read")

type nothing struct{ engine.Reader }

func (nothing) NewIter(_, _ []byte) (*engine.Iterator, error) { return nil, errNothing }
