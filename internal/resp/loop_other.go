//go:build !linux

package resp

import (
	"time"

	"github.com/nodedb-go/nodedb/node"
)

// Where there is no epoll, every client has a goroutine.
type (
	loops  struct{}
	socket struct{}
)

func (*Server) adopt(*conn) {}

func (*socket) begin() {}

func (*socket) took(time.Duration) {}

func (loops) last() loops { return loops{} }

func (loops) wake() {}

func (loops) stop() {}

func (*socket) startUpdate([]byte, func(*node.Tx) error) (node.Updating, error) {
	panic("resp: there is no loop")
}
