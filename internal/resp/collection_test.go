package resp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden are collections as version 1 stores them, with their marks. They never
// change.
var golden = []struct {
	kind  kind
	elems []element
	want  string
}{
	{kindHash, []element{{key: []byte(""), value: []byte("x")}, {key: []byte("ab"), value: []byte("")}}, "f56e6401" + "01" + "02" + "00" + "0178" + "026162" + "00"},
	{kindSet, []element{{key: []byte("a")}, {key: []byte("b")}}, "f56e6402" + "01" + "02" + "0161" + "0162"},
	{kindSorted, []element{{key: []byte("b"), score: -1.5}, {key: []byte("a"), score: 2}}, "f56e6403" + "01" + "02" + "000000000000f8bf" + "0162" + "0000000000000040" + "0161"},
	{kindList, []element{{key: []byte("b")}, {key: []byte("a")}, {key: []byte("b")}}, "f56e6404" + "01" + "03" + "0162" + "0161" + "0162"},
}

func TestElements_Golden(t *testing.T) {
	for _, g := range golden {
		b := appendElements(appendMark(nil, g.kind), g.kind, g.elems)
		if got := hex.EncodeToString(b); got != g.want {
			t.Errorf("%s: %s, want %s", g.kind, got, g.want)
		}
		k, data := split(b)
		back, err := decodeElements(k, data)
		if err != nil || k != g.kind || !cmp.Equal(back, g.elems, cmp.AllowUnexported(element{}), cmp.Comparer(bytes.Equal)) {
			t.Errorf("%s came back as %s %v, %v", g.kind, k, back, err)
		}
		for n := range data {
			if _, err := decodeElements(k, data[:n]); err == nil {
				t.Errorf("%s of %d bytes is taken for one of %d", k, n, len(data))
			}
		}
	}
}

func TestElements_Damaged(t *testing.T) {
	for _, tc := range []struct {
		kind    kind
		in, say string
	}{
		{kindSet, "", "no version"},
		{kindSet, "02010161", "read it with a newer nodedb"},
		{kindSet, "0100", "number of elements"},
		{kindSet, "01810001" + "61", "number of elements"}, // 1, in two bytes
		{kindSet, "01ffffffff0f", "number of elements"},
		{kindSet, "01ffffffffffffffffffff", "number of elements"},
		{kindSet, "010201620161", "not in order"},
		{kindSet, "010201610161", "not in order"},
		{kindSet, "01010161ff", "something behind"},
		{kindSet, "0101ff61", "cut off"},
		{kindHash, "01010161", "cut off"},
		{kindSorted, "0101000000", "score"},
		{kindSorted, "0101010000000000f87f0161", "not a number"},
	} {
		in, err := hex.DecodeString(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeElements(tc.kind, in); err == nil || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s %s: %v, want %q", tc.kind, tc.in, err, tc.say)
		}
	}
	r := serve(t, Options{})
	if _, err := r.node.Tenant(0).Put(t.Context(), []byte("k"), append(appendMark(nil, kindHash), 1, 5), nil); err != nil {
		t.Fatal(err)
	}
	r.client().script([2]string{`HGETALL k`, "-ERR resp: stored hash is damaged at byte 2: its number of elements cannot be"},
		[2]string{`HSET k f v`, "-ERR resp: stored hash is damaged at byte 2: its number of elements cannot be"}, [2]string{`DEL k`, "1"})
}

// FuzzElements: whatever is decoded is written as it was, and takes memory in
// proportion.
func FuzzElements(f *testing.F) {
	for _, g := range golden {
		f.Add(byte(g.kind), appendElements(nil, g.kind, g.elems))
	}
	f.Add(byte(kindSet), []byte{1, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, k byte, in []byte) {
		kind := kindHash + kind(k)%4
		elems, err := decodeElements(kind, in)
		if err != nil {
			return
		}
		if cap(elems) > len(in) {
			t.Fatalf("%d elements for %d bytes", cap(elems), len(in))
		}
		if back := appendElements(nil, kind, elems); !bytes.Equal(back, in) {
			t.Fatalf("%x, written again, is %x", in, back)
		}
	})
}

// Random answers are members, without repetition unless that is asked for.
func TestCollections_Random(t *testing.T) {
	r := serve(t, Options{})
	c := r.client()
	members := make(map[string]bool)
	for i := range 30 {
		m := fmt.Sprint("m", i)
		members[m] = true
		c.do("SADD", "s", m)
		c.do("HSET", "h", m, "v"+m)
		c.do("ZADD", "z", fmt.Sprint(i), m)
	}
	words := func(s string) []string { return strings.Fields(strings.Trim(s, "[]")) }
	for _, cmd := range [][2]string{{"SRANDMEMBER", "s"}, {"HRANDFIELD", "h"}, {"ZRANDMEMBER", "z"}} {
		if got := c.do(cmd[0], cmd[1]); !members[got] {
			t.Errorf("%s gives %q", cmd[0], got)
		}
		seen := make(map[string]bool)
		for _, m := range words(c.do(cmd[0], cmd[1], "20")) {
			if !members[m] || seen[m] {
				t.Errorf("%s gives %q, or twice", cmd[0], m)
			}
			seen[m] = true
		}
		if len(seen) != 20 {
			t.Errorf("%s gives %d of 20", cmd[0], len(seen))
		}
		if got := words(c.do(cmd[0], cmd[1], "-100")); len(got) != 100 {
			t.Errorf("%s gives %d of 100 with repetitions", cmd[0], len(got))
		}
		if got := c.do(cmd[0], cmd[1], "-999999999999"); got != "-"+string(errReply) {
			t.Errorf("%s gives %.60q for very many", cmd[0], got)
		}
	}
	got := words(c.do("HRANDFIELD", "h", "-10", "WITHVALUES"))
	for i := 0; i < len(got); i += 2 {
		if got[i+1] != "v"+got[i] {
			t.Errorf("field %s has %s", got[i], got[i+1])
		}
	}
	for len(members) > 0 {
		popped := append(words(c.do("SPOP", "s", "3")), c.do("SPOP", "s"))
		for _, m := range popped {
			if m != "nil" && !members[m] {
				t.Fatalf("popped %q, which is not there any more", m)
			}
			delete(members, m)
		}
	}
	c.script([2]string{`SPOP s`, "nil"}, [2]string{`TYPE s`, "none"})
}

// What redis-server 7.0 does not have, and what only this server refuses.
func TestCollections_Own(t *testing.T) {
	r := serve(t, Options{})
	c := r.client()
	c.script([2]string{`ZADD z 1 a 2.5 b 0.1 c`, "3"}, [2]string{`ZRANK z b WITHSCORE`, "[2 2.5]"}, [2]string{`ZREVRANK z b WITHSCORE`, "[0 2.5]"},
		[2]string{`ZRANK z x WITHSCORE`, "nil"}, [2]string{`ZRANK z a x`, "-ERR syntax error"}, [2]string{`SADD {a}s m`, "1"}, [2]string{`EXPIREAT {a}s 4102444800`, "1"},
		[2]string{`SADD {a}s n`, "1"}, [2]string{`EXPIRETIME {a}s`, "4102444800"}, [2]string{`TYPE {a}s`, "set"})
	crossed := 0
	for i := range 16 {
		if strings.HasPrefix(c.do("SMOVE", "{a}s", fmt.Sprint("k", i), "m"), "-CROSSSLOT") {
			crossed++
			continue
		}
		c.do("SMOVE", fmt.Sprint("k", i), "{a}s", "m")
	}
	if crossed == 0 {
		t.Error("no move over two vshards was refused")
	}
	if got := c.do("SUNION", "{a}s", "k0", "k1", "k2"); got != "[m n]" {
		t.Errorf("a union over several vshards is %s", got)
	}
	c.script([2]string{`ZADD z GT INCR 0 a`, "nil"}, [2]string{`ZADD z LT INCR 0 a`, "nil"})
	if err := (&collection{kind: kindList, elems: make([]element, elementsMax+1)}).write(nil); err != errElements { //nolint:errorlint // it is not wrapped
		t.Errorf("too many elements: %v", err)
	}
}

// More than a value can hold is refused, and nothing changes.
func TestCollections_TooLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 30 MiB")
	}
	c := serve(t, Options{}).client()
	big := strings.Repeat("x", 9<<20)
	// Half of a move is taken back, also within a transaction.
	if got := c.do("RPUSH", "{a}src", big) + c.do("RPUSH", "{a}dst", big); got != "11" {
		t.Fatalf("%.80s", got)
	}
	c.script([2]string{`LMOVE {a}src {a}dst LEFT LEFT`, "-" + string(errTooLong)}, [2]string{`MULTI`, "OK"}, [2]string{`LMOVE {a}src {a}dst LEFT LEFT`, "QUEUED"},
		[2]string{`EXEC`, "[-" + string(errTooLong) + "]"}, [2]string{`LLEN {a}src`, "1"}, [2]string{`LLEN {a}dst`, "1"})
}
