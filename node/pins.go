package node

import (
	"fmt"
	"sync"

	"github.com/nodedb-go/nodedb/wal"
)

// pinsMax bounds the pins of a node.
const pinsMax = 1024

// pins are the LSNs that truncation must not pass.
type pins struct {
	mu   sync.Mutex
	next int
	held map[int]pin
}

type pin struct {
	name string
	lsn  wal.LSN
}

// oldest returns the lowest pinned LSN and whose it is.
func (p *pins) oldest() (wal.LSN, string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	low, found := pin{lsn: ^wal.LSN(0)}, false
	for _, h := range p.held {
		if h.lsn < low.lsn || !found {
			low, found = h, true
		}
	}
	return low.lsn, low.name, found
}

// PinLog keeps the log from lsn on, until release is called or the node closes:
// for a program that reads the log of a running node. name is for status and
// messages.
func (n *Node) PinLog(name string, lsn wal.LSN) (release func(), err error) {
	n.truncateMu.Lock()
	defer n.truncateMu.Unlock()
	if first := wal.LSN(n.watermarks.truncated.Load()) + 1; lsn < first {
		return nil, fmt.Errorf("pin LSN %d: %w; the log begins at %d", lsn, wal.ErrTruncated, first)
	}
	p := &n.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.held) >= pinsMax {
		return nil, fmt.Errorf("node: %d pins are held, no more are taken; release some", pinsMax)
	}
	if p.held == nil {
		p.held = make(map[int]pin)
	}
	id := p.next
	p.next++
	p.held[id] = pin{name, lsn}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.held, id)
	}, nil
}
