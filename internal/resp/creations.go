package resp

import (
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/nodedb-go/nodedb/node"
)

// creations count how often keys were written, many keys to a counter: so WATCH
// notices a key that was not there, came, and went again, of which nothing is left.
type creations [4096]atomic.Uint64

func (c *creations) of(tenant uint32, key []byte) *atomic.Uint64 {
	return &c[(xxhash.Sum64(key)^uint64(tenant)*0x9E3779B97F4A7C15)%uint64(len(c))]
}

// counted is the view of an update. What it puts is counted before anybody can see it.
type counted struct {
	*node.Tx
	creations *creations
	tenant    uint32
}

// PutMillis implements view.
func (w *counted) PutMillis(key, value []byte, expireAt int64) error {
	w.creations.of(w.tenant, key).Add(1)
	return w.Tx.PutMillis(key, value, expireAt)
}
