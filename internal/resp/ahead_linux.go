package resp

import "github.com/nodedb-go/nodedb/node"

// lookahead cuts the requests of a pipeline some at a time, so that what their
// look-ups read comes into the processor's caches together.
type lookahead struct {
	data  []byte // not cut yet
	reqs  [aheadMax]pipelined
	n, at int
	fetch node.Prefetcher
}

// aheadMax is how many requests are cut before the first of them runs.
const aheadMax = 16

// pipelined is one that was cut. n is its length in bytes, as cut returns it; args lie
// in what was read.
type pipelined struct {
	n    int
	args [][]byte
	cmd  *command
	err  error
}

// looksUp tells whether it reads, of which the key is most likely the first argument.
func (q *pipelined) looksUp() bool {
	return q.err == nil && q.cmd.where == forRead && len(q.args) > 1
}

// begin forgets what was cut and not run.
func (a *lookahead) begin(data []byte) { a.data, a.n, a.at = data, 0, 0 }

// next returns the next request of the client. It is valid until the call after.
func (a *lookahead) next(c *conn) *pipelined {
	if a.at == a.n {
		a.fill(c)
	}
	q := &a.reqs[a.at]
	a.at++
	return q
}

func (a *lookahead) fill(c *conn) {
	reads := 0
	for a.n, a.at = 0, 0; a.n < len(a.reqs); {
		q := &a.reqs[a.n]
		n, args := cut(a.data, q.args)
		q.n = n
		a.n++
		if n <= 0 {
			break
		}
		q.args, a.data = args, a.data[n:]
		if q.cmd, q.err = c.s.find(q.args); q.looksUp() {
			reads++
		}
	}
	if reads < 2 || c.user == nil {
		return
	}
	for i := range a.reqs[:a.n] {
		if q := &a.reqs[i]; q.n > 0 && q.looksUp() {
			a.fetch.Add(c.db, q.args[1])
		}
	}
	a.fetch.Run()
}
