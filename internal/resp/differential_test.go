package resp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var differentialSeed = flag.Uint64("differential.seed", 1, "of the commands that are compared with a real redis-server")

// vocabulary is what a word of a template stands for.
var vocabulary = map[string][]string{
	"@k": {"{t}k1", "{t}k2", "{t}k3"}, "@h": {"{t}h1", "{t}h2"}, "@l": {"{t}l1", "{t}l2"}, "@s": {"{t}s1", "{t}s2", "{t}s3"}, "@z": {"{t}z1", "{t}z2"},
	"@q": {"{t}q"}, // its members have one score
	"@w": {"{t}w"}, // is never removed, so that no other key of its counter makes it change
	"@f": {"a", "b", "c", "d", "", "ee"},
	"@v": {"5", "-3", "abc", "", "3.5", "9223372036854775807", " 1", "1e3", "a\r\nb", "0.1", "007", "a", "b"},
	"@i": {"0", "1", "2", "-1", "-2", "3", "-100", "100", "x", "9223372036854775807", "+1", "01", "-0", ""},
	"@n": {"0", "1", "2", "-1", "3", "-3", "9223372036854775807", "1.5", "+1", "02"},
	"@d": {"0", "1", "2", "-1", "1.5", "0.1", "3e2", "inf", "-inf", "nan", "x", "100000000000000000000", "-0", "0x10", "infinity", "1e-400", "1_0"},
	"@a": {"-inf", "+inf", "0", "1", "(1", "2", "(2", "(-inf", "x", "1.5", "", "(", " 1", "(0x1", "1e400", "1_0"},
	"@x": {"-", "+", "[a", "(a", "[c", "(d", "x", "[ee"},
	"@t": {"4102444800", "4102444801", "4102444900"},
}

// templates are the commands that are compared. A word may be one of several, or
// none.
var templates = strings.Split(`SET @k @v
SET @k @v NX|XX|GET|KEEPTTL|NX GET||EX
SET @k @v EXAT @t
SET @k @v EX|PX 0|-1|x|1000000000
SET @k @v EX 100 EX|PX 0|1000000000
GET|STRLEN|GETDEL|INCR|DECR @k
GETEX @k PERSIST|
GETEX @k EXAT @t
GETEX @k EX 0|x|1000000000
GETSET|SETNX|APPEND|INCRBYFLOAT @k @v
INCRBY|DECRBY @k @n
SETEX|PSETEX @k 0|1000000000|x @v
GETRANGE|SUBSTR @k @i @i
SETRANGE @k 0|1|5|-1 @v
MGET @k @h @k
MSET @k @v @k @v
MSETNX @k @v @k @v
DEL|UNLINK|EXISTS|TOUCH @k @h
DEL|TYPE @l|@s|@z|@h
EXPIREAT @k|@h|@l|@s|@z @t NX|XX|GT|LT|
EXPIREAT|EXPIRE|PEXPIRE|PEXPIREAT @k|@h -1|x|9223372036854775807 XX|GT|NX GT|GT LT|y|
EXPIRE|PEXPIRE @k|@h|@l 1000000000
TTL|PTTL|EXPIRETIME|PEXPIRETIME|PERSIST @k|@h|@l|@s|@z
RENAME|RENAMENX @k|@h|@l @k|@h|@l
COPY @k|@h|@s @k|@h|@s REPLACE|
HSET @h @f @v
HSET|HMSET @h @f @v @f @v
HSETNX @h @f @v
HGET|HEXISTS|HSTRLEN @h @f
HMGET|HDEL @h @f @f
HGETALL|HKEYS|HVALS|HLEN @h
HINCRBY @h @f @n|9223372036854775807
HINCRBYFLOAT @h @f @v|@d
HRANDFIELD @h 100|0|x WITHVALUES|
HSCAN|ZSCAN @h|@z 0|x MATCH|COUNT| *|a*|[a-c]|1
HSCAN|SSCAN|ZSCAN @h|@s|@z 0|00|+0| COUNT 1000 MATCH *|a*|[^a]
SSCAN @s 0|x COUNT 1000
LPUSH|RPUSH|LPUSHX|RPUSHX @l @v
LPUSH|RPUSH|LPUSHX|RPUSHX @l @v @v
LPOP|RPOP @l @n|
LLEN @l
LRANGE @l @i @i
LTRIM @l @i @i
LINDEX @l @i
LSET @l @i @v
LREM @l @n @v
LINSERT @l BEFORE|AFTER|x @v @v
LPOS @l @v RANK @n
LPOS @l @v COUNT|MAXLEN|x| @n
LPOS @l @v RANK 1|-1|2 COUNT 0|1
LMOVE @l @l LEFT|RIGHT LEFT|RIGHT|x
RPOPLPUSH @l @l
LMPOP 1|2|0|x @l @l LEFT|RIGHT COUNT @n
LMPOP 1 @l LEFT|RIGHT|x
SADD|SREM @s @f @f
SADD @s @v @v
SISMEMBER @s @f
SMISMEMBER @s @f @f
SMEMBERS|SCARD @s
SPOP|SRANDMEMBER @s 100|0|x
SMOVE @s @s @f
SINTER|SUNION|SDIFF @s @s
SINTER|SUNION|SDIFF @s @s @s
SINTERSTORE|SUNIONSTORE|SDIFFSTORE @s|@k @s @s
SINTERCARD 1|2|9|0|x @s @s LIMIT|x @n
SINTERCARD 2 @s @s LIMIT 1 LIMIT @n
ZADD @z @d @f
ZADD @z @d @f @d @f
ZADD @z NX|XX|GT|LT|CH|INCR CH|GT|LT|XX|INCR| @d @f
ZADD @q 0 @f 0 @f
ZREM @z|@q @f @f
ZSCORE|ZRANK|ZREVRANK @z @f
ZMSCORE @z @f @f
ZINCRBY @z @d @f
ZCARD @z
ZCOUNT|ZREMRANGEBYSCORE @z @a @a
ZLEXCOUNT|ZREMRANGEBYLEX @q @x @x
ZRANGE|ZREVRANGE|ZREMRANGEBYRANK @z @i @i
ZRANGE|ZREVRANGE @z @i @i WITHSCORES
ZRANGE @z @i @i REV|BYSCORE|BYLEX WITHSCORES|REV|BYSCORE|
ZRANGE @z @a @a BYSCORE REV| LIMIT 0|1|-1 @n WITHSCORES|
ZRANGE @q @x @x BYLEX REV| LIMIT 0|1|-1 @n
ZRANGE @z @i @i LIMIT 0 @n
ZRANGEBYSCORE|ZREVRANGEBYSCORE @z @a @a WITHSCORES|
ZRANGEBYSCORE|ZREVRANGEBYSCORE @z @a @a LIMIT 0|1 @n
ZRANGEBYLEX|ZREVRANGEBYLEX @q @x @x
ZRANGEBYLEX|ZREVRANGEBYLEX @q @x @x LIMIT 1|0 @n
ZRANGESTORE @z @z @i @i REV|WITHSCORES|
ZPOPMIN|ZPOPMAX @z @n|
ZMPOP 1|2|0 @z @z MIN|MAX|x COUNT @n
ZRANDMEMBER @z 100|0|x WITHSCORES|
ZUNION|ZINTER 2 @z @z|@s WITHSCORES|
ZUNION|ZINTER 2 @z @z WEIGHTS @d @d AGGREGATE SUM|MIN|MAX|x WITHSCORES
ZDIFF 2|1|0|x @z @z|@s WITHSCORES|
ZUNIONSTORE|ZINTERSTORE @z 2|0|x @z @z|@s AGGREGATE|WEIGHTS SUM|MIN|MAX|2 1|
ZDIFFSTORE @z 2|1 @z @z|@s
ZINTERCARD 2|1|0 @z @z LIMIT @n
WATCH @w
SET|APPEND @w @v
UNWATCH
PING|ECHO @v|
NOSUCH @v
KEYS {t}*|*1`, "\n")

// generator makes commands.
type generator struct{ *rand.Rand }

func (g generator) pick(of []string) string { return of[g.IntN(len(of))] }

func (g generator) command() []string {
	var out []string
	for _, w := range strings.Split(g.pick(templates), " ") {
		w = g.pick(strings.Split(w, "|"))
		known := vocabulary[w]
		switch {
		case w == "":
			continue
		case known == nil:
		case strings.HasPrefix(known[0], "{t}") && w != "@q" && w != "@w" && g.IntN(20) == 0: // of another kind
			w = g.pick(vocabulary[g.pick([]string{"@k", "@h", "@l", "@s", "@z"})])
		default:
			w = g.pick(known)
		}
		out = append(out, w)
	}
	switch n := len(out) - 1; {
	case g.IntN(40) == 0 && n > 0 && !strings.Contains(out[0], "RAND") && out[0] != "SPOP": // without a number they answer anything
		out = out[:n]
	case g.IntN(60) == 0 && !strings.Contains(out[0], "RANK"): // WITHSCORE is newer
		out = append(out, "{t}x")
	case g.IntN(10) == 0:
		out[0] = strings.ToLower(out[0])
	}
	return out
}

// batch is some commands that are sent at once; now and then there is a transaction
// among them.
func (g generator) batch() [][]string {
	var out [][]string
	for range 1 + g.IntN(30) {
		if g.IntN(15) == 0 {
			out = append(out, []string{"MULTI"})
			for range g.IntN(5) {
				if words := g.command(); strings.ToUpper(words[0]) != "KEYS" { // it is refused there
					out = append(out, words)
				}
			}
			out = append(out, []string{g.pick([]string{"EXEC", "EXEC", "EXEC", "DISCARD"})})
		}
		out = append(out, g.command())
	}
	return out
}

// Random commands have the same answers here and from a real server.
func TestDifferential(t *testing.T) {
	peer := startPeer(t)
	r := serve(t, Options{})
	batches := 700
	if testing.Short() {
		batches = 60
	}
	for proto := 2; proto <= 3; proto++ {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			g := generator{rand.New(rand.NewPCG(*differentialSeed, uint64(proto)))}
			t.Logf("go test ./internal/resp -run TestDifferential -differential.seed=%d", *differentialSeed)
			d := differential{t: t, peer: peer(), ours: r.client()}
			for _, c := range []*client{d.peer, d.ours} {
				c.do("FLUSHALL")
				c.do("HELLO", fmt.Sprint(proto))
			}
			for n := 0; n < batches && d.found < 20; n++ {
				if n%20 == 0 {
					d.run([][]string{{"FLUSHALL"}})
				}
				d.run(g.batch())
			}
		})
	}
}

// differential compares two servers.
type differential struct {
	t          *testing.T
	peer, ours *client
	queued     [][]string // in MULTI
	inMulti    bool
	found      int
	last       []string
}

func (d *differential) run(batch [][]string) {
	var raw strings.Builder
	for _, words := range batch {
		raw.WriteString(request(words...))
	}
	d.peer.send(raw.String())
	d.ours.send(raw.String())
	differs := false
	for _, words := range batch {
		want, got := d.settle(words, d.peer.answer(), d.ours.answer())
		line := fmt.Sprintf("%q: %s", words, want)
		if d.last = append(d.last, line); len(d.last) > 60 {
			d.last = d.last[1:]
		}
		if want.String() != got.String() && !differs {
			d.t.Errorf("%q: %s, redis-server says %s", words, got, want)
			differs = true
		}
	}
	if differs {
		d.found++
		d.t.Logf("before that:\n%s", strings.Join(d.last[max(0, len(d.last)-len(batch)-20):], "\n"))
		d.inMulti, d.last = false, nil
		for _, c := range []*client{d.peer, d.ours} {
			c.do("DISCARD")
			c.do("FLUSHALL")
		}
	}
}

// settle takes what may differ out of two answers.
func (d *differential) settle(words []string, want, got answer) (answer, answer) {
	name := strings.ToUpper(words[0])
	switch {
	case name == "MULTI":
		d.inMulti, d.queued = true, nil
	case d.inMulti && want.text == "QUEUED":
		d.queued = append(d.queued, words)
		return want, got
	case name == "EXEC" && d.inMulti:
		d.inMulti = false
		if len(want.parts) == len(d.queued) && len(got.parts) == len(d.queued) {
			for i, q := range d.queued {
				want.parts[i], got.parts[i] = want.parts[i].settled(q), got.parts[i].settled(q)
			}
		}
		return want, got
	case name == "DISCARD":
		d.inMulti = false
	}
	return want.settled(words), got.settled(words)
}
