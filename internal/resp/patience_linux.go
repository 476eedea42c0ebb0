package resp

import (
	"sync/atomic"
	"time"
)

// patience is whether reads are so quick that the loop may wait for them. They are
// not where the tables are larger than memory, and pipelines of them are not where
// they come from tables at all: then other clients go first, and other processors
// help.
type patience struct{ score atomic.Int32 }

const (
	patienceSlow  = 40 * time.Microsecond // a read, or those of one pipeline
	patienceStep  = 8                     // a slow one weighs as much as so many quick ones
	patienceShort = 32
	patienceMax   = 64
)

func (p *patience) short() bool { return p.score.Load() > patienceShort }

func (p *patience) took(ns int64) {
	score := p.score.Load()
	if ns > int64(patienceSlow) {
		p.score.Store(min(score+patienceStep, patienceMax))
	} else if score > 0 {
		p.score.Store(score - 1)
	}
}
