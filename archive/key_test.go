package archive_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	hexSum = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	hexHas = "0001020304050607"
)

func sumOf() (s [32]byte) {
	for i := range s {
		s[i] = byte(i)
	}
	return s
}

var someAge = archive.Age{Recipients: archive.RecipientsID{0x1a, 0x2b, 0x3c, 0x4d}, MD5: archive.Short(sumOf())}

// The names of version 1 are frozen: archives that exist depend on them.
var goldenKeys = []struct {
	key  archive.Key
	path string
}{
	{archive.FormatKey{}, "format.json"},
	{archive.EpochKey{Epoch: 0x1f}, "epoch/000000000000001f.json"},
	{archive.EpochKey{Epoch: 1<<64 - 1}, "epoch/ffffffffffffffff.json"},
	{archive.SegmentKey{Timeline: 1, First: 1, Last: 0xabcdef, Epoch: 2, SHA16: archive.Short(sumOf())},
		"wal/00000001/0000000000000001-0000000000abcdef-00000002-" + hexHas + ".wal.zst"},
	{archive.SegmentKey{Timeline: 0xffffffff, First: 7, Last: 7, Epoch: 0xffffffff, Age: someAge},
		"wal/ffffffff/0000000000000007-0000000000000007-ffffffff-0000000000000000.wal.zst.1a2b3c4d." + hexHas + ".age"},
	{archive.BaseKey{Timeline: 3, LSN: 0, ID: "a1"}, "base/00000003/0000000000000000-a1/manifest.json"},
	{archive.BaseKey{Timeline: 3, LSN: 99, ID: strings.Repeat("z", 32)},
		"base/00000003/0000000000000063-" + strings.Repeat("z", 32) + "/manifest.json"},
	{archive.ObjKey{SHA256: sumOf()}, "obj/" + hexSum},
	{archive.ObjKey{SHA256: sumOf(), Zstd: true}, "obj/" + hexSum + ".zst"},
	{archive.ObjKey{SHA256: sumOf(), Age: someAge}, "obj/" + hexSum + ".1a2b3c4d." + hexHas + ".age"},
	{archive.ObjKey{SHA256: sumOf(), Zstd: true, Age: someAge}, "obj/" + hexSum + ".zst.1a2b3c4d." + hexHas + ".age"},
	{archive.RecipientsKey{ID: someAge.Recipients}, "keys/1a2b3c4d.json"},
	{archive.PackKey{Timeline: 1, First: 1, Last: 0xabcdef, SHA16: archive.Short(sumOf())},
		"pack/00000001/0000000000000001-0000000000abcdef-" + hexHas + ".pack.zst"},
	{archive.PackKey{Timeline: 1, First: 1, Last: 2, SHA16: archive.Short(sumOf()), Age: someAge},
		"pack/00000001/0000000000000001-0000000000000002-" + hexHas + ".pack.zst.1a2b3c4d." + hexHas + ".age"},
	{archive.GapKey{Timeline: 1, First: 10, Last: 20}, "gap/00000001/000000000000000a-0000000000000014.json"},
	{archive.PinKey{Name: "before-v2.0_x"}, "pin/before-v2.0_x.json"},
	{archive.PinKey{Name: "a.json"}, "pin/a.json.json"},
	{archive.IndexKey{Timeline: 1, First: 1, Last: 2, SHA16: archive.Short(sumOf())},
		"index/00000001/0000000000000001-0000000000000002-" + hexHas + ".parquet"},
	{archive.MergedKey{Timeline: 1, First: 1, Last: 9, SHA16: archive.Short(sumOf())},
		"index/merged/00000001/0000000000000001-0000000000000009-" + hexHas + ".parquet"},
	{archive.LedgerKey{Seq: 1}, "verify/0000000000000001.json.zst"},
	{archive.ProofKey{Timeline: 1, LSN: 0x10, ID: "a1"}, "proof/00000001/0000000000000010-a1.json"},
	{archive.CatalogKey{Timeline: 1, Seq: 0}, "catalog/00000001/0000000000000000.json.zst"},
}

func TestKeys(t *testing.T) {
	for _, g := range goldenKeys {
		if got := g.key.String(); got != g.path {
			t.Errorf("String of %+v = %q, want %q", g.key, got, g.path)
		}
		got, err := archive.ParseKey(g.path)
		if err != nil {
			t.Errorf("ParseKey(%q): %v", g.path, err)
		}
		if diff := cmp.Diff(g.key, got); diff != "" {
			t.Errorf("ParseKey(%q) (-want +got):\n%s", g.path, diff)
		}
		id, got, err := archive.ParseFull("nodedb/v1/node-1/" + g.path)
		if err != nil || id != "node-1" || !cmp.Equal(g.key, got) {
			t.Errorf("ParseFull of %q = %q, %+v, %v", g.path, id, got, err)
		}
		if archive.Join("node-1", g.key) != "nodedb/v1/node-1/"+g.path {
			t.Errorf("Join of %q = %q", g.path, archive.Join("node-1", g.key))
		}
		if err := archive.ValidKey(g.key); err != nil {
			t.Errorf("ValidKey(%q): %v", g.path, err)
		}
	}
}

// Names sort by LSN, so that a listing is in order of history.
func TestKeyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		a := wal.LSN(rnd.Uint64() >> (1 + rnd.IntN(60)))
		b := wal.LSN(rnd.Uint64() >> (1 + rnd.IntN(60)))
		ka := archive.SegmentKey{Timeline: 1, First: a + 1, Last: a + 2, Epoch: 1}.String()
		kb := archive.SegmentKey{Timeline: 1, First: b + 1, Last: b + 2, Epoch: 1}.String()
		if (a < b) != (ka < kb) {
			t.Fatalf("LSNs %d and %d, but names %s and %s", a, b, ka, kb)
		}
	}
}

func TestHostileKeys(t *testing.T) {
	bad := []string{
		"", "/", "x", "format.json2", "Format.json", "epoch/", "epoch/1.json", "epoch/0000000000000000.json",
		"epoch/00000000000000001.json", "epoch/000000000000001F.json", "epoch/000000000000001f.json/", "epoch//000000000000001f.json",
		"epoch/+00000000000001f.json", "epoch/0x0000000000001f.json", "epoch/000000000000_01f.json", "epoch/-00000000000001f.json",
		"wal/00000001/0000000000000000-0000000000000001-00000001-" + hexHas + ".wal.zst", // LSN 0
		"wal/00000000/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst", // timeline 0
		"wal/00000001/0000000000000001-0000000000000001-00000000-" + hexHas + ".wal.zst", // epoch 0
		"wal/00000001/0000000000000002-0000000000000001-00000001-" + hexHas + ".wal.zst", // backwards
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + strings.ToUpper("00010203040506AB") + ".wal.zst",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst.age.age",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst.age",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst.00000000." + hexHas + ".age", // no set
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst.1A2b3c4d." + hexHas + ".age",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst.1a2b3c4d.age",
		"obj/" + hexSum + ".age", "obj/" + hexSum + ".zst.00000000.0000000000000000.age", "keys/00000000.json", "keys/1a2b3c4d", "keys/1A2B3C4D.json",
		"wal/00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst\n",
		"wal/00000001/../00000001/0000000000000001-0000000000000001-00000001-" + hexHas + ".wal.zst",
		"base/00000001/0000000000000001-/manifest.json", "base/00000001/0000000000000001-A/manifest.json",
		"base/00000001/0000000000000001-a/../manifest.json", "base/00000001/0000000000000001-a/manifest.json.tmp",
		"base/00000001/0000000000000001-" + strings.Repeat("a", 33) + "/manifest.json", "base/00000001/0000000000000001-a",
		"obj/" + hexSum[1:], "obj/" + hexSum + "0", "obj/" + hexSum + ".age.zst", "obj/" + strings.ToUpper(hexSum),
		"gap/00000001/0000000000000002-0000000000000001.json", "index/merged/", "index/merged/00000001/",
		"index/merged/00000000/0000000000000001-0000000000000009-" + hexHas + ".parquet", "index/merged/merged/00000001/0000000000000001-0000000000000009-" + hexHas + ".parquet", "pin/.json", "pin/../x.json", "pin/-a.json", "pin/a b.json",
		"pin/" + strings.Repeat("a", 64) + ".json", "pin/a", "pin/A.json", "catalog/00000000/0000000000000000.json.zst", "unknown/x",
		strings.Repeat("wal/", 10000),
	}
	for _, path := range bad {
		if k, err := archive.ParseKey(path); !errors.Is(err, archive.ErrBadKey) || k != nil {
			t.Errorf("ParseKey(%.90q) = %+v, %v; want ErrBadKey", path, k, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("the refusal of %.20q has %d bytes", path, len(err.Error()))
		}
	}
	for _, full := range []string{"", "nodedb/v1/", "nodedb/v1/N/format.json", "nodedb/v2/n/format.json", "nodedb/v1/../format.json", "x/nodedb/v1/n/format.json", "nodedb/v1/n"} {
		if _, _, err := archive.ParseFull(full); !errors.Is(err, archive.ErrBadKey) {
			t.Errorf("ParseFull(%q): %v; want ErrBadKey", full, err)
		}
	}
}

func TestValidNodeID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "0": true, "node-1.eu_west": true, strings.Repeat("x", 63): true, "a..": true,
		"": false, "-a": false, ".a": false, "_a": false, "A": false, "a/b": false, "a b": false, "ä": false, "a\x00": false, strings.Repeat("x", 64): false, "..": false,
	} {
		if got := archive.ValidNodeID(id); got != want {
			t.Errorf("ValidNodeID(%q) = %v, want %v", id, got, want)
		}
	}
}

// Whatever parses is spelled back exactly, so that no object has two names.
func FuzzParseKey(f *testing.F) {
	for _, g := range goldenKeys {
		f.Add(g.path)
		f.Add("nodedb/v1/node-1/" + g.path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if k, err := archive.ParseKey(path); err == nil {
			if k.String() != path || archive.ValidKey(k) != nil {
				t.Fatalf("%q parses to %+v, which is spelled %q", path, k, k.String())
			}
		} else if !errors.Is(err, archive.ErrBadKey) {
			t.Fatalf("ParseKey(%q): %v", path, err)
		}
		if id, k, err := archive.ParseFull(path); err == nil && archive.Join(id, k) != path {
			t.Fatalf("%q parses to %q and %+v", path, id, k)
		}
	})
}

func FuzzStoreURL(f *testing.F) {
	for _, u := range []string{"file:///a/b?prefix=x;optional", "s3://k:secret@b/p?endpoint=http://u:secret@h", "mem://", "s3://b?token=secret", "://", "%"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		_ = archive.RedactURL(raw)
		s, _, err := archive.OpenStore(t.Context(), raw)
		if err == nil {
			_ = s.Close()
		} else if !errors.Is(err, archive.ErrBadURL) {
			t.Fatalf("OpenStore(%q): %v", raw, err)
		}
	})
}
