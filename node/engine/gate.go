package engine

import (
	"math/rand/v2"
	"sync/atomic"
)

// gate counts who is inside, and lets its owner shut it and wait until all have
// left. Entering costs one uncontended atomic: the count is spread over stripes
// so that readers on several CPUs do not share a cache line.
//
// Invariant: after shut returned, nobody is inside until open is called.
type gate struct {
	closed  atomic.Bool
	left    chan struct{} // capacity 1; signalled by whoever leaves a shut gate
	stripes [gateStripes]gateStripe
}

const gateStripes = 16

type gateStripe struct {
	n atomic.Int64
	_ [56]byte
}

// enter returns the stripe to leave, or false when the gate is shut.
func (g *gate) enter() (uint8, bool) {
	s := uint8(rand.Uint32()) % gateStripes
	g.stripes[s].n.Add(1)
	if g.closed.Load() {
		g.leave(s)
		return 0, false
	}
	return s, true
}

func (g *gate) leave(s uint8) {
	// The count falls before closed is read, and shut sets closed before it
	// counts: one of the two sees the other.
	g.stripes[s].n.Add(-1)
	if g.closed.Load() {
		select {
		case g.left <- struct{}{}:
		default:
		}
	}
}

// shut closes the gate and waits for those inside. It is for one goroutine.
func (g *gate) shut() {
	g.closed.Store(true)
	for g.inside() > 0 {
		<-g.left
	}
}

func (g *gate) inside() int64 {
	var n int64
	for i := range g.stripes {
		n += g.stripes[i].n.Load()
	}
	return n
}

func (g *gate) open() { g.closed.Store(false) }
