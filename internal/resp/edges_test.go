package resp

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// edges are commands at the edges of what is allowed, by what they are about. Those
// of one case follow each other.
var edges = map[string]string{
	"spelling of integers": `SET {t}n 10
INCRBY {t}n +1
INCRBY {t}n 01
INCRBY {t}n -0
INCRBY {t}n ""
INCRBY {t}n " 1"
INCRBY {t}n 1_0
INCRBY {t}n -
INCRBY {t}n 00
INCRBY {t}n 9223372036854775808
INCRBY {t}n -9223372036854775808
DECRBY {t}n -9223372036854775808
RPUSH {t}l a b c
INCRBY {t}l +1
LRANGE {t}l 00 -1
LRANGE {t}l 0 +1
LREM {t}l -0 a
LSET {t}l -0 x
LTRIM {t}l 9223372036854775807 +1
LPOP {t}l 01
LPOS {t}l a COUNT 00
LMPOP +1 {t}l LEFT
LMPOP 1 {t}l LEFT COUNT 01
EXPIRE {t}l 00
PSETEX {t}n -0 v
SET {t}n v EX 01
SELECT 01
SELECT -1
SELECT x
HELLO 03`,
	"spelling of floats": `ZADD {t}z 0x10 a 0x1p3 b infinity c -INF d .5 e 5. f +1 g 1e3 h
ZRANGE {t}z 0 -1 WITHSCORES
ZADD {t}z 1e-400 x
ZADD {t}z 1e400 x
ZADD {t}z 1_0 x
ZADD {t}z " 1" x
ZADD {t}z nan x
ZADD {t}z 5e-324 x 0e-999 y -0x0 w
ZADD {t}z 0x x
ZCOUNT {t}z "" 1e400
ZCOUNT {t}z ( " 16"
ZCOUNT {t}z " " 1
ZCOUNT {t}z "1 " 2
ZCOUNT {t}z "1\x00x" (0x10
ZCOUNT {t}z nan 1
ZCOUNT {t}z 1_0 2
ZUNION 1 {t}z WEIGHTS 0x2 WITHSCORES
ZUNION 1 {t}z WEIGHTS 1_0
SET {t}f 1
INCRBYFLOAT {t}f 0x10
INCRBYFLOAT {t}f 0x1p3
INCRBYFLOAT {t}f 1p3
INCRBYFLOAT {t}f infinity
INCRBYFLOAT {t}f -Infinity
INCRBYFLOAT {t}f 1_0
HINCRBYFLOAT {t}h f 0x.8
HINCRBYFLOAT {t}h f +inf`,
	"negative zero": `ZADD {t}z -0 a
ZRANGE {t}z 0 -1 WITHSCORES
ZINCRBY {t}z -0 b
ZSCORE {t}z b
ZUNION 1 {t}z WEIGHTS -1 WITHSCORES
ZUNIONSTORE {t}o 1 {t}z WEIGHTS -1
ZRANGE {t}o 0 -1 WITHSCORES`,
	"times": `SET {t}k v PX 100000 PX 200000000
PTTL {t}k
SET {t}k v EX 100 PX 1
SET {t}k v EX 100 EX 0
SET {t}k v KEEPTTL EX 1
GETEX {t}none EX 0
GETEX {t}none EX 0 PX 1
HSET {t}h a 1
GETEX {t}h EX 0
GETEX {t}h EX x
GETEX {t}k EX 0
GETEX {t}k PERSIST EX 1
SET {t}h v GET EX 0`,
	"counts of random members": `SADD {t}s a
SRANDMEMBER {t}s 9223372036854775807
SRANDMEMBER {t}s -9223372036854775808
SRANDMEMBER {t}none -9223372036854775807
HSET {t}h a 1
HRANDFIELD {t}h 9223372036854775807
HRANDFIELD {t}h 9223372036854775807 WITHVALUES
HRANDFIELD {t}s 9223372036854775807
HRANDFIELD {t}h -9223372036854775808 x
ZADD {t}z 1 a
ZRANDMEMBER {t}z 9223372036854775807
ZRANDMEMBER {t}z 9223372036854775807 WITHSCORES
ZRANDMEMBER {t}z 01 x`,
	"options twice": `ZADD {t}z 1 a 2 b
ZRANGE {t}z 0 9 BYSCORE BYSCORE
ZRANGE {t}z - + BYLEX BYSCORE
ZRANGE {t}z 0 -1 REV REV
ZRANGE {t}z 0 9 BYSCORE LIMIT 0 1 LIMIT 1 1
ZRANGESTORE {t}o {t}z x y WITHSCORES
SADD {t}s a b
SINTERCARD 1 {t}s LIMIT 0 LIMIT 1
SINTERCARD 1 {t}s LIMIT 1 LIMIT
ZINTERCARD 1 {t}z LIMIT 2 LIMIT 1
LMPOP 1 {t}l LEFT COUNT 1 COUNT 1`,
	"cursors": `SADD {t}s a
SSCAN {t}s ""
SSCAN {t}s 00
SSCAN {t}s +0
SSCAN {t}none -3
SSCAN {t}s 0x
SSCAN {t}s " 0"
SSCAN {t}s 0 COUNT 01
SSCAN {t}none 18446744073709551616
SCAN ""
SCAN x`,
	"transactions": `MULTI
EXEC x
GET {t}k
EXEC
EXEC x
WATCH {t}k
EXEC x
SET {t}k v
MULTI
PING
EXEC
MULTI
DISCARD x
EXEC
MULTI
WATCH {t}k
PING
EXEC`,
	"subcommands": `CLIENT ID x
CLIENT GETNAME x
CLIENT SETNAME
CLIENT LIST x
CLIENT KILL
CLIENT KILL ID 0
CLIENT KILL ID x
CLIENT KILL ID 999999999
CLIENT NO-EVICT x
CONFIG GET
CONFIG RESETSTAT x
CONFIG GET nosuch
COMMAND COUNT x
COMMAND LIST x
COMMAND INFO nosuch
BGSAVE x
WAIT x 0
WAIT 0 x
INFO nosuch`,
}

// What is at the edges has the same answers here and from a real server.
func TestEdges(t *testing.T) {
	peer := startPeer(t)
	r := serve(t, Options{})
	for name, commands := range edges {
		for _, proto := range []string{"2", "3"} {
			t.Run(name+", RESP"+proto, func(t *testing.T) {
				d := differential{t: t, peer: peer(), ours: r.client()}
				for _, c := range []*client{d.peer, d.ours} {
					c.t = t
					c.do("FLUSHALL")
					c.do("HELLO", proto)
				}
				for line := range strings.SplitSeq(commands, "\n") {
					d.run([][]string{wordsOf(t, line)})
				}
			})
		}
	}
}

// The same without another server, of what is easily lost.
func TestSpelling(t *testing.T) {
	c := serve(t, Options{}).client()
	const notInteger, notFloat = "-ERR value is not an integer or out of range", "-ERR value is not a valid float"
	c.script([][2]string{
		{"INCRBY {t}n +1", notInteger}, {"INCRBY {t}n 01", notInteger}, {"INCRBY {t}n -0", notInteger}, {"INCRBY {t}n -1", "-1"},
		{"INCRBY {t}n -9223372036854775808", "-ERR increment or decrement would overflow"},
		{"ZADD {t}z 0x10 a -0 b Infinity c", "3"}, {"ZRANGE {t}z 0 -1 WITHSCORES", "[b 0 a 16 c inf]"},
		{"ZADD {t}z 1e-400 x", notFloat}, {"ZADD {t}z 1_0 x", notFloat}, {"ZADD {t}z 0e-999 x", "1"},
		{`ZCOUNT {t}z "" " 16"`, "3"}, {"ZCOUNT {t}z 1_0 2", "-ERR min or max is not a float"},
		{"INCRBYFLOAT {t}f 0x10", "16"}, {"INCRBYFLOAT {t}f infinity", "-ERR increment would produce NaN or Infinity"},
		{"GETEX {t}none EX 0", "nil"}, {"SET {t}k v PX 1 PX 100000", "OK"}, {"GETEX {t}k EX 0", "-ERR invalid expire time in 'getex' command"},
		{"SELECT -1", "-ERR DB index is out of range"}, {"MULTI", "OK"},
		{"EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"},
		{"EXEC", "-ERR EXEC without MULTI"},
	}...)
}

// A web page that posts commands is not heard.
func TestBrowsersAreLetGo(t *testing.T) {
	r := serve(t, Options{})
	for _, begin := range []string{"POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: here\r\n"} {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		c := &client{t, nc, bufio.NewReader(nc)}
		c.send(begin + "\r\n" + request("SET", "k", "v"))
		rest, _ := io.ReadAll(c.r) // what is not read when it closes may be a reset
		if strings.Contains(string(rest), "OK") {
			t.Errorf("%q: %q", begin, rest)
		}
	}
	if got := r.client().do("GET", "k"); got != "nil" {
		t.Errorf("a page has set a key: %q", got)
	}
}
