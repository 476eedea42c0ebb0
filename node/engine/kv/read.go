package kv

import (
	"errors"
	"sync"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// Entry is what is stored under a key.
type Entry struct {
	Value    []byte
	ExpireAt int64   // ms since the Unix epoch; 0: never
	LSN      wal.LSN // of the record that wrote it
}

// keyBuffer lets a lookup build its key without an allocation: Pebble keeps the
// slice it is given in a pooled object, so a buffer on the stack would escape.
type keyBuffer struct{ b []byte }

var keyBuffers = sync.Pool{New: func() any { return &keyBuffer{b: make([]byte, 0, 128)} }}

// Get returns a copy of what is stored under the key, in its own memory.
// nowMillis hides what has expired. ErrNotFound when there is nothing.
func Get(r engine.Reader, tenant uint32, key []byte, nowMillis int64) (Entry, error) {
	return AppendGet(nil, r, tenant, key, nowMillis)
}

// AppendGet is Get with the value appended to dst, which becomes Entry.Value.
func AppendGet(dst []byte, r engine.Reader, tenant uint32, key []byte, nowMillis int64) (Entry, error) {
	buf := keyBuffers.Get().(*keyBuffer)
	buf.b = appendEntryKey(buf.b[:0], spaceEntry, tenant, key)
	v, closer, err := r.Get(buf.b)
	keyBuffers.Put(buf)
	if err != nil {
		if errors.Is(err, engine.ErrNotFound) {
			return Entry{Value: dst}, ErrNotFound
		}
		return Entry{Value: dst}, err
	}
	lsn, expireAt, value, err := splitValue(v)
	if err == nil && expired(expireAt, nowMillis) {
		err = ErrNotFound
	}
	if err != nil {
		return Entry{Value: dst}, errors.Join(err, closer.Close())
	}
	if dst == nil {
		dst = make([]byte, 0, len(value))
	}
	e := Entry{Value: append(dst, value...), ExpireAt: expireAt, LSN: wal.LSN(lsn)}
	return e, closer.Close()
}

// Read is Get on what a vshard holds now.
func Read(v *engine.VShard, tenant uint32, key []byte, nowMillis int64) (Entry, error) {
	return AppendRead(nil, v, tenant, key, nowMillis)
}

// AppendRead is AppendGet on what a vshard holds now. With 0 for nowMillis nothing has
// expired.
func AppendRead(dst []byte, v *engine.VShard, tenant uint32, key []byte, nowMillis int64) (Entry, error) {
	ref, err := v.Acquire()
	if err != nil {
		return Entry{Value: dst}, err
	}
	e, err := AppendGet(dst, ref.Reader(), tenant, key, nowMillis)
	ref.Release()
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = v.Damage(err)
	}
	return e, err
}

// Has says whether Get would find something. It copies nothing.
func Has(r engine.Reader, tenant uint32, key []byte, nowMillis int64) (bool, error) {
	buf := keyBuffers.Get().(*keyBuffer)
	buf.b = appendEntryKey(buf.b[:0], spaceEntry, tenant, key)
	v, closer, err := r.Get(buf.b)
	keyBuffers.Put(buf)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, expireAt, _, err := splitValue(v)
	return err == nil && !expired(expireAt, nowMillis), errors.Join(err, closer.Close())
}

func expired(expireAt, nowMillis int64) bool { return expireAt != 0 && expireAt <= nowMillis }
