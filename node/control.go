package node

import "github.com/nodedb-go/nodedb/tpc"

// A controlTask runs a function on a core's thread, also while the core is
// degraded: checkpoints and repairs must not depend on its health.
type controlTask struct {
	hdr  tpc.Header
	run  func()
	fail func(error)
}

func (t *controlTask) Header() *tpc.Header { return &t.hdr }
func (t *controlTask) Run(*tpc.Core)       { t.run() }
func (t *controlTask) Fail(err error)      { t.fail(err) }

// post runs fn on the core and hands its result to answer, exactly once. answer
// must not block.
func (c *core) post(fn func() error, answer func(error)) {
	t := &controlTask{fail: answer}
	t.hdr.Control, t.hdr.Priority = true, tpc.Critical
	t.run = func() { answer(fn()) }
	if err := c.tpc.Submit(t); err != nil {
		answer(err)
	}
}
