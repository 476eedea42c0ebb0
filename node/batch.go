package node

import (
	"time"

	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// A Batch collects changes that are applied atomically: all of them or none,
// in one log record. All keys must live in one vshard; give them a common
// {tag} to be sure. The zero value is ready to use. A Batch is not safe for
// concurrent use and may be reused after Reset.
type Batch struct {
	muts []kv.Mutation
}

// Put sets key to value. The slices are copied by [DB.Apply].
func (b *Batch) Put(key, value []byte) { b.PutExpire(key, value, time.Time{}) }

// PutExpire sets key to value until at; the zero time means for ever.
func (b *Batch) PutExpire(key, value []byte, at time.Time) {
	b.muts = append(b.muts, kv.Mutation{Key: key, Value: value, ExpireAt: expiryMillis(at)})
}

// Delete removes key; an absent key is no error.
func (b *Batch) Delete(key []byte) {
	b.muts = append(b.muts, kv.Mutation{Key: key, Delete: true})
}

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.muts) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.muts = b.muts[:0] }

// expiryMillis is at in milliseconds since the Unix epoch, 0 for never.
func expiryMillis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return max(1, at.UnixMilli())
}
