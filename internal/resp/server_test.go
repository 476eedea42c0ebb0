package resp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStrings(t *testing.T) {
	serve(t, Options{}).client().script(
		[2]string{`SET k v`, "OK"}, [2]string{`GET k`, "v"}, [2]string{`get absent`, "nil"},
		[2]string{`SET k w NX`, "nil"}, [2]string{`SET k w XX GET`, "v"}, [2]string{`SET new w XX`, "nil"},
		[2]string{`SET k w EX 100`, "OK"}, [2]string{`TTL k`, "100"}, [2]string{`SET k x KEEPTTL`, "OK"}, [2]string{`TTL k`, "100"},
		[2]string{`SET k x EX 1 PX 1`, "-ERR syntax error"}, [2]string{`SET k x EX 0`, "-ERR invalid expire time in 'set' command"},
		[2]string{`SETNX k y`, "0"}, [2]string{`SETEX k 10 z`, "OK"}, [2]string{`GETEX k PERSIST`, "z"}, [2]string{`TTL k`, "-1"},
		[2]string{`APPEND k abc`, "4"}, [2]string{`STRLEN k`, "4"}, [2]string{`GETRANGE k 1 -2`, "ab"}, [2]string{`SETRANGE k 6 x`, "7"},
		[2]string{`SETRANGE k 9223372036854775807 x`, string("-" + errTooLong)},
		[2]string{`GET k`, "zabc\x00\x00x"}, [2]string{`GETDEL k`, "zabc\x00\x00x"}, [2]string{`GET k`, "nil"},
		[2]string{`MSET a 1 b 2 c 3`, "OK"}, [2]string{`MGET a b x c`, "[1 2 nil 3]"}, [2]string{`MSET a`, "-ERR wrong number of arguments for 'mset' command"},
		[2]string{`MSETNX {t}1 1 {t}2 2`, "1"}, [2]string{`MSETNX {t}2 2 {t}3 3`, "0"}, [2]string{`GET {t}3`, "nil"},
		[2]string{`INCR a`, "2"}, [2]string{`DECRBY a 5`, "-3"}, [2]string{`INCRBYFLOAT a 0.5`, "-2.5"}, [2]string{`INCR a`, "-ERR value is not an integer or out of range"},
		[2]string{`SET big 9223372036854775807`, "OK"}, [2]string{`INCR big`, "-ERR increment or decrement would overflow"},
		[2]string{`DEL a b c nothing`, "3"}, [2]string{`EXISTS {t}1 {t}1 a`, "2"}, [2]string{`TYPE {t}1`, "string"}, [2]string{`TYPE a`, "none"},
		[2]string{`RENAME {t}1 {t}9`, "OK"}, [2]string{`GET {t}9`, "1"}, [2]string{`RENAME {t}1 {t}2`, "-ERR no such key"}, [2]string{`COPY {t}9 {t}2`, "0"},
		[2]string{`COPY {t}9 {t}2 REPLACE`, "1"}, [2]string{`GET {t}2`, "1"}, [2]string{`RENAMENX {t}2 {t}9`, "0"},
		[2]string{`EXPIRE {t}9 100 XX`, "0"}, [2]string{`EXPIRE {t}9 100 NX`, "1"}, [2]string{`EXPIRE {t}9 50 GT`, "0"}, [2]string{`PERSIST {t}9`, "1"}, [2]string{`EXPIRE {t}9 -1`, "1"},
		[2]string{`GET {t}9`, "nil"}, [2]string{`FLUSHDB`, "OK"}, [2]string{`DBSIZE`, "0"}, [2]string{`RANDOMKEY`, "nil"},
		[2]string{`NOSUCH a b`, "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "}, [2]string{`GET`, "-ERR wrong number of arguments for 'get' command"},
	)
}

// A string that looks like a collection comes back as it was.
func TestStrings_LikeMarks(t *testing.T) {
	r := serve(t, Options{})
	c := r.client()
	for k := range 8 {
		v := string(appendMark(nil, kind(k))) + "tail"
		if got := c.do("SET", "k", v); got != "OK" {
			t.Fatal(got)
		}
		if got := c.do("GET", "k"); got != v {
			t.Errorf("%q came back as %q", v, got)
		}
	}
}

// A pipeline is answered in order, a read in it sees the writes before it, and
// another client sees what was answered.
func TestPipeline(t *testing.T) {
	r := serve(t, Options{})
	c := r.client()
	var in strings.Builder
	var want []string
	for i := range 500 {
		k := fmt.Sprintf("k%d", i%7)
		in.WriteString(request("SET", k, fmt.Sprint(i)))
		in.WriteString(request("GET", k))
		in.WriteString(request("GET", "other"))
		in.WriteString(request("INCR", "n"))
		want = append(want, "OK", fmt.Sprint(i), "nil", fmt.Sprint(i+1))
	}
	in.WriteString(request("MGET", "k0", "k1", "k2", "n"))
	want = append(want, "[497 498 499 500]")
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.nc, in.String())
		sent <- err
	}()
	for i, w := range want {
		if got := c.read(); got != w {
			t.Fatalf("answer %d: %q, want %q", i, got, w)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if got := r.client().do("GET", "n"); got != "500" {
		t.Errorf("another client sees %q", got)
	}
}

func TestTransaction(t *testing.T) {
	r := serve(t, Options{})
	a, b := r.client(), r.client()
	a.script([2]string{`EXEC`, "-ERR EXEC without MULTI"}, [2]string{`SET {x}n 1`, "OK"}, [2]string{`WATCH {x}n`, "OK"},
		[2]string{`MULTI`, "OK"}, [2]string{`MULTI`, "-ERR MULTI calls can not be nested"}, [2]string{`INCR {x}n`, "QUEUED"},
		[2]string{`SET {x}s v`, "QUEUED"}, [2]string{`INCR {x}s`, "QUEUED"}, [2]string{`GET {x}s`, "QUEUED"}, [2]string{`PING`, "QUEUED"})
	if got := b.do("GET", "{x}s"); got != "nil" {
		t.Errorf("seen before EXEC: %q", got)
	}
	a.script([2]string{`EXEC`, "[2 OK -ERR value is not an integer or out of range v PONG]"}, [2]string{`WATCH {x}n`, "OK"})
	b.script([2]string{`INCR {x}n`, "3"})
	a.script([2]string{`MULTI`, "OK"}, [2]string{`SET {x}n 100`, "QUEUED"}, [2]string{`EXEC`, "nil"}, [2]string{`GET {x}n`, "3"},
		[2]string{`MULTI`, "OK"}, [2]string{`NOSUCH`, "-ERR unknown command 'NOSUCH', with args beginning with: "}, [2]string{`EXEC`, string("-" + errExecAbort)},
		[2]string{`MULTI`, "OK"}, [2]string{`SET {x}n 7`, "QUEUED"}, [2]string{`DISCARD`, "OK"}, [2]string{`GET {x}n`, "3"})
	crossed := false
	for i := range 64 { // some two of these are apart
		a.script([2]string{`MULTI`, "OK"}, [2]string{`SET {x}n 5`, "QUEUED"}, [2]string{fmt.Sprintf(`SET k%d 5`, i), "QUEUED"})
		if got := a.do("EXEC"); strings.HasPrefix(got, "-CROSSSLOT") {
			crossed = true
			if got := a.do("GET", fmt.Sprintf("k%d", i)); got != "nil" {
				t.Errorf("half of a transaction: %q", got)
			}
		}
	}
	if !crossed {
		t.Error("no transaction over two vshards was refused")
	}
}

// A watched key that was not there, came, was read and went again has changed.
func TestTransaction_CameAndWent(t *testing.T) {
	r := serve(t, Options{})
	a, b := r.client(), r.client()
	a.script([2]string{`WATCH n`, "OK"})
	b.script([2]string{`SET n x`, "OK"})
	a.script([2]string{`GET n`, "x"})
	b.script([2]string{`DEL n`, "1"})
	a.script([2]string{`MULTI`, "OK"}, [2]string{`SET n y`, "QUEUED"}, [2]string{`EXEC`, "nil"}, [2]string{`GET n`, "nil"},
		[2]string{`WATCH n`, "OK"}, [2]string{`MULTI`, "OK"}, [2]string{`SET n y`, "QUEUED"}, [2]string{`EXEC`, "[OK]"})
}

// Increments of many clients in transactions with WATCH are all there.
func TestTransaction_Race(t *testing.T) {
	const clients, each = 4, 25
	r := serve(t, Options{})
	var wg sync.WaitGroup
	for range clients {
		c := r.client()
		wg.Go(func() {
			for done := 0; done < each; {
				c.do("WATCH", "n")
				n := 0
				if s := c.do("GET", "n"); s != "nil" {
					if _, err := fmt.Sscan(s, &n); err != nil {
						t.Error(err)
						return
					}
				}
				c.do("MULTI")
				c.do("SET", "n", fmt.Sprint(n+1))
				if got := c.do("EXEC"); got == "[OK]" {
					done++
				} else if got != "nil" {
					t.Error(got)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := r.client().do("GET", "n"); got != fmt.Sprint(clients*each) {
		t.Errorf("n = %s, want %d", got, clients*each)
	}
}

func TestUsers(t *testing.T) {
	users, err := ParseUsers([]byte("# people\nuser alice on >secret tenants=7,8 +read +write\nuser root on >toor tenants=* +read +write +admin\nuser gone off nopass +read\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, Options{Users: users})
	c := r.client()
	c.script([2]string{`GET k`, string("-" + errNoAuth)}, [2]string{`AUTH alice wrong`, string("-" + errWrongPass)}, [2]string{`AUTH nobody x`, string("-" + errWrongPass)},
		[2]string{`AUTH gone x`, string("-" + errWrongPass)}, [2]string{`AUTH alice secret`, "OK"}, [2]string{`SET k v`, "OK"},
		[2]string{`SELECT 9`, "-NOPERM User alice has no access to tenant 9"}, [2]string{`SELECT 8`, "OK"}, [2]string{`GET k`, "nil"},
		[2]string{`FLUSHALL`, "-NOPERM User alice has no permissions to run the 'flushall' command"}, [2]string{`SELECT 7`, "OK"}, [2]string{`GET k`, "v"})
	if v, err := r.node.Tenant(7).Get(t.Context(), []byte("k")); err != nil || string(v) != "v" {
		t.Errorf("tenant 7 has %q, %v", v, err)
	}
	r.client().script([2]string{`HELLO 3 AUTH root toor SETNAME x`, "[server redis version 7.2.0 proto 3 id 2 mode standalone role master modules []]"},
		[2]string{`GET k`, "nil"}, [2]string{`CLIENT GETNAME`, "x"})
	for _, bad := range []string{"", "user", "user x maybe", "user x on tenants=a", "user x on #12", "user x on\nuser x on"} {
		if _, err := ParseUsers([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// One client too many is told so; a request that breaks the protocol ends its
// connection only, behind the answers that are due.
func TestStrangers(t *testing.T) {
	r := serve(t, Options{MaxClients: 2})
	a := r.client()
	a.do("PING")
	b := r.client()
	b.do("PING")
	if got := r.client().read(); got != "-ERR max number of clients reached" {
		t.Errorf("a third client: %q", got)
	}
	b.send(request("SET", "k", "v") + "*1\r\n$9223372036854775807\r\n")
	if x, y := b.read(), b.read(); x != "OK" || y != "-ERR Protocol error: invalid bulk length" {
		t.Errorf("answers: %q, %q", x, y)
	}
	if _, err := b.reply(); err == nil {
		t.Error("the connection goes on")
	}
	if got := a.do("GET", "k"); got != "v" {
		t.Errorf("the other client has %q", got)
	}
}

// Shutdown answers what was sent, and cuts off who does not go in time.
func TestShutdown(t *testing.T) {
	r := serve(t, Options{})
	c, idle := r.client(), r.client()
	idle.do("PING")
	if got := c.do("SET", "k", "v"); got != "OK" {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.reply(); err == nil {
		t.Error("an idle client is still connected")
	}
	if ctx.Err() != nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Error("shutdown waited for its time limit")
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"a*c", "abc", true}, {"a*c", "abd", false}, {"?", "a", true}, {"?", "", false}, {"[a-c]x", "bx", true}, {"[^a-c]x", "bx", false},
		{`\*`, "*", true}, {`\*`, "a", false}, {"a**b", "aXXb", true}, {"[abc", "a", true}, {"*a*b*", "xxaxxbxx", true}, {"", "", true}, {"[c-a]", "b", true},
		{strings.Repeat("*a", 30) + "b", strings.Repeat("a", 60), false},
	} {
		if got := match([]byte(tc.pattern), []byte(tc.s)); got != tc.want {
			t.Errorf("match(%q, %q) = %v", tc.pattern, tc.s, got)
		}
	}
}

// Every key that is there can be picked, also one that begins another, and nothing
// else is.
func TestRandomKey(t *testing.T) {
	c := serve(t, Options{}).client()
	c.script([2]string{`MSET user:1 a user:2 a user:9 a`, "OK"})
	seen := make(map[string]bool)
	for range 200 {
		seen[c.do("RANDOMKEY")] = true
	}
	if len(seen) != 3 || !seen["user:1"] || !seen["user:2"] || !seen["user:9"] {
		t.Errorf("picked %v", seen)
	}
	first, last := []byte("k1"), []byte("k7")
	for _, n := range []uint64{0, 1, 1 << 40} {
		if at := between(first, last, func(most uint64) uint64 { return min(n, most-1) }); string(at) <= string(first) || string(at) > string(last)+"\x00" && len(at) > 10 {
			t.Errorf("%q is not between %q and %q", at, first, last)
		}
	}
}
