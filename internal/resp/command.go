package resp

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nodedb-go/nodedb/node"
)

// where a command runs.
type where uint8

const (
	onConn   where = iota // on the connection, when all before it is answered
	forRead               // anywhere that sees what it asks for
	forWrite              // in an update
)

// right is what a user may do.
type right uint8

const (
	rightNone right = 0
	rightRead right = 1 << (iota - 1)
	rightWrite
	rightAdmin
)

// keySpec says which arguments are keys, as COMMAND tells it: from first to last,
// where -1 is the last argument, each step-th. first 0: none.
type keySpec struct{ first, last, step int }

var (
	oneKey  = keySpec{1, 1, 1}
	twoKeys = keySpec{1, 2, 1}
	allKeys = keySpec{1, -1, 1}
	pairs   = keySpec{1, -1, 2}
)

// merge says how a command whose keys are in several vshards is put together from
// one part a vshard. Such a command is not atomic as a whole.
type merge uint8

const (
	mergeNone merge = iota // it is refused
	mergeSum               // the parts' numbers are added
	mergeOK                // +OK
)

// command is one entry of the table.
type command struct {
	name  string // in lower case
	arity int    // arguments with the name; negative: at least so many
	where where
	keys  keySpec
	merge merge
	need  right // beyond reading and writing
	run   func(c *call) error
	conn  func(c *conn, args [][]byte, out *reply) error // for onConn
	// keysOf finds keys that no keySpec describes.
	keysOf func(args [][]byte) ([][]byte, error)

	quick    bool // for onConn: it waits for nothing
	unqueued bool // within MULTI it runs at once
	anybody  bool // also before AUTH
	blocks   bool // it may take long, so it is refused in a transaction
}

// call is one run of a command over the keys of a view.
type call struct {
	args [][]byte
	v    view
	now  int64 // ms since 1970
	out  *reply
	sum  int64 // of commands with mergeSum, which write no reply of their own
}

// table is all commands by name, in lower case.
func table() map[string]*command {
	out := make(map[string]*command)
	for _, g := range [][]command{connCommands(), serverCommands(), keyCommands(), expiryCommands(), stringCommands(),
		numberCommands(), hashCommands(), listCommands(), setCommands(), sortedCommands(),
		transactionCommands(), ownCommands(), doorCommands()} {
		for i := range g {
			out[g[i].name] = &g[i]
		}
	}
	return out
}

// right is what a user needs to run it.
func (c *command) right() right {
	switch c.where {
	case forRead:
		return c.need | rightRead
	case forWrite:
		return c.need | rightWrite
	}
	return c.need
}

func (c *command) checkArity(args [][]byte) error {
	if c.arity >= 0 && len(args) != c.arity || len(args) < -c.arity {
		return c.errArity()
	}
	return nil
}

// checkPairs is the rest of checkArity: MULTI takes a key without a value, and EXEC
// refuses it.
func (c *command) checkPairs(args [][]byte) error {
	if c.keys == pairs && len(args)%2 == 0 {
		return c.errArity()
	}
	return nil
}

func (c *command) errArity() error {
	return redisError(fmt.Sprintf("ERR wrong number of arguments for '%s' command", c.name))
}

// keysIn are the keys among the arguments.
func (c *command) keysIn(args [][]byte) ([][]byte, error) {
	if c.keysOf != nil {
		return c.keysOf(args)
	}
	if c.keys.first == 0 {
		return nil, nil
	}
	last := c.keys.last
	if last < 0 {
		last += len(args)
	}
	if c.keys.step == 1 {
		return args[c.keys.first : last+1], nil
	}
	var out [][]byte
	for i := c.keys.first; i <= last; i += c.keys.step {
		out = append(out, args[i])
	}
	return out, nil
}

// apart groups the arguments by vshard; each group is a request of its own.
func (c *command) apart(db *node.DB, args [][]byte) [][][]byte {
	at := make(map[uint16]int)
	var out [][][]byte
	for i := c.keys.first; i < len(args); i += c.keys.step {
		v := db.VShard(args[i])
		n, ok := at[v]
		if !ok {
			n = len(out)
			at[v] = n
			out = append(out, [][]byte{args[0]})
		}
		out[n] = append(out[n], args[i:min(i+c.keys.step, len(args))]...)
	}
	return out
}

// find looks a command up.
func (s *Server) find(args [][]byte) (*command, error) {
	var buf [32]byte
	name := buf[:0]
	for _, ch := range args[0] {
		if len(name) == len(buf) {
			break
		}
		if ch >= 'A' && ch <= 'Z' {
			ch += 'a' - 'A'
		}
		name = append(name, ch)
	}
	if len(args[0]) <= len(buf) {
		if cmd := s.commands[string(name)]; cmd != nil {
			if len(args) == 4 && cmd.name == "get" {
				cmd = s.commands[getAtName]
			}
			return cmd, cmd.checkArity(args)
		}
		if why, ok := absent[string(name)]; ok {
			return nil, redisError(fmt.Sprintf("ERR '%s' is not there: %s", string(name), why))
		}
	}
	return nil, unknownCommand(args)
}

func unknownCommand(args [][]byte) error {
	const most = 128
	var b strings.Builder
	for _, a := range args[1:] {
		if b.Len() >= most {
			break
		}
		fmt.Fprintf(&b, "'%.*s' ", most-b.Len(), a)
	}
	return redisError(fmt.Sprintf("ERR unknown command '%.*s', with args beginning with: %s", most, args[0], b.String()))
}

// absent are commands of Redis that this server has not, and what to do instead.
var absent = map[string]string{
	"subscribe": "there are no channels", "psubscribe": "there are no channels", "publish": "there are no channels",
	"ssubscribe": "there are no channels", "spublish": "there are no channels", "pubsub": "there are no channels",
	"eval": "there are no scripts; MULTI with WATCH is atomic within a vshard", "evalsha": "there are no scripts; MULTI with WATCH is atomic within a vshard",
	"fcall": "there are no functions", "function": "there are no functions", "script": "there are no scripts",
	"blpop": "nothing blocks; poll with LPOP", "brpop": "nothing blocks; poll with RPOP", "blmove": "nothing blocks; poll with LMOVE",
	"brpoplpush": "nothing blocks; poll with LMOVE", "blmpop": "nothing blocks; poll with LMPOP", "bzpopmin": "nothing blocks; poll with ZPOPMIN",
	"bzpopmax": "nothing blocks; poll with ZPOPMAX", "bzmpop": "nothing blocks; poll with ZMPOP",
	"xadd": "there are no streams", "xread": "there are no streams", "xrange": "there are no streams", "xlen": "there are no streams",
	"setbit": "there are no bitmaps", "getbit": "there are no bitmaps", "bitcount": "there are no bitmaps", "bitfield": "there are no bitmaps",
	"bitop": "there are no bitmaps", "bitpos": "there are no bitmaps",
	"pfadd": "there are no HyperLogLogs", "pfcount": "there are no HyperLogLogs", "pfmerge": "there are no HyperLogLogs",
	"geoadd": "there are no geo indexes", "geosearch": "there are no geo indexes",
	"replicaof": "a standby follows the archive: pitr-restore restore --follow", "slaveof": "a standby follows the archive: pitr-restore restore --follow",
	"psync": "a standby follows the archive: pitr-restore restore --follow", "sync": "a standby follows the archive: pitr-restore restore --follow",
	"cluster": "one node serves all keys", "migrate": "use nodedb export and load", "dump": "use nodedb export", "restore": "use pitr-restore",
	"move": "tenants are apart; GET and SET", "swapdb": "tenants are apart", "monitor": "use --log-level debug", "debug": "it is not offered", "object": "there are no encodings to tell of",
	"sort": "sort in the client", "sort_ro": "sort in the client", "shutdown": "send SIGTERM to the process",
}

// ofBrowser tells a request of HTTP, by which a web page may try to have commands run:
// they would stand in its body. As with Redis, such a client is not answered.
func ofBrowser(name []byte) bool {
	return bytes.EqualFold(name, []byte("POST")) || bytes.EqualFold(name, []byte("Host:"))
}
