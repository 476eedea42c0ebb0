package node

import (
	"sync"
	"sync/atomic"
)

// A gate lets callers in until it is shut, and tells when the last one left.
// Entering and leaving cost one atomic addition each.
type gate struct {
	state atomic.Int64 // callers inside, plus gateShut once shut
	once  sync.Once
	empty chan struct{} // made before the gate is shut, closed by the last to leave
}

const gateShut = int64(1) << 40

// enter reports whether the caller is in; then leave must follow.
func (g *gate) enter() bool {
	if g.state.Add(1) < gateShut {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == gateShut {
		g.once.Do(func() { close(g.empty) })
	}
}

// shut refuses new callers and returns a channel that closes when those inside
// have left. It is called once.
func (g *gate) shut() <-chan struct{} {
	g.empty = make(chan struct{})
	if g.state.Add(gateShut) == gateShut {
		g.once.Do(func() { close(g.empty) })
	}
	return g.empty
}
