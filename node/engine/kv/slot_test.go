package kv_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// Placement is part of the format: these values never change.
func TestSlotGolden(t *testing.T) {
	tests := []struct {
		key     string
		slot    uint64
		of4     uint16
		of7     uint16
		of65534 uint16
	}{
		{"", 0xef46db3751d8e999, 3, 6, 61252},
		{"a", 0xd24ec4f1a98c6e5b, 3, 5, 53837},
		{"hello", 0x26c7827d889f6da3, 0, 1, 9927},
		{"user:1", 0xd9c7c4609e6080f3, 3, 5, 55750},
		{"{user}:1", 0x3da0fd9c44cfc9ee, 0, 1, 15776},
		{"user", 0x3da0fd9c44cfc9ee, 0, 1, 15776},
		{"\x00\xff", 0xe0d97d9a03131d7d, 3, 6, 57559},
	}
	for _, tt := range tests {
		k := []byte(tt.key)
		got := fmt.Sprintf("{%q, %#x, %d, %d, %d}", tt.key, kv.Slot(k), kv.VShardOf(k, 4), kv.VShardOf(k, 7), kv.VShardOf(k, 65534))
		want := fmt.Sprintf("{%q, %#x, %d, %d, %d}", tt.key, tt.slot, tt.of4, tt.of7, tt.of65534)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestSlotTags(t *testing.T) {
	same := [][2]string{
		{"{tag}a", "tag"}, {"x{tag}", "tag"}, {"a{tag}b{other}", "tag"}, {"{{tag}}", "{tag"}, {"{a}}", "a"},
	}
	for _, p := range same {
		if kv.Slot([]byte(p[0])) != kv.Slot([]byte(p[1])) {
			t.Errorf("%q and %q are apart", p[0], p[1])
		}
	}
	whole := []string{"{}a", "a{b", "a}b{", "{", "}{"}
	for _, k := range whole {
		if kv.Slot([]byte(k)) == kv.Slot([]byte(k+"x")) {
			t.Errorf("%q is not hashed whole", k)
		}
	}
}

// Keys that count up spread evenly, for any number of vshards.
func TestVShardOfSpreads(t *testing.T) {
	const keys = 20000
	for _, n := range []int{1, 3, 4, 64} {
		counts := make([]int, n)
		for i := range uint64(keys) {
			counts[kv.VShardOf(binary.BigEndian.AppendUint64(nil, i), n)]++
		}
		for id, c := range counts {
			if mean := keys / n; c < mean*7/10 || c > mean*13/10 {
				t.Errorf("%d of %d vshards: %d keys of %d", id, n, c, keys)
			}
		}
	}
}
