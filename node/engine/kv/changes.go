package kv

import (
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// Names of what a record does to a key.
const (
	ChangePut    = "put"    // the key has this value now
	ChangeDelete = "del"    // the key is gone
	ChangeExpire = "expire" // the key goes, if its stored expiry is not after the one given
)

// Changes tells what a record does to keys, in the order in which it does it,
// for who reads a log without a store. expireAt is in ms since the Unix epoch,
// zero when there is none. The slices are the record's. A record that changes no
// key gives none. Errors wrap ErrMalformed or ErrNewer, or are emit's; a required
// type that is not of this package is ErrNewer, since what it changes is unknown.
func Changes(r *wal.Record, emit func(tenant uint32, op string, key, value []byte, expireAt int64) error) error {
	switch r.Type {
	case TypePut:
		p, err := DecodePut(r.Payload)
		if err != nil {
			return err
		}
		return emit(r.Tenant, ChangePut, p.Key, p.Value, p.ExpireAt)
	case TypeDelete:
		d, err := DecodeDelete(r.Payload)
		if err != nil {
			return err
		}
		return emit(r.Tenant, ChangeDelete, d.Key, nil, 0)
	case TypeBatch:
		return batchChanges(r, emit)
	case TypeExpire:
		e, err := DecodeExpire(r.Payload)
		if err != nil {
			return err
		}
		for i := range e.Keys {
			if err := emit(e.Keys[i].Tenant, ChangeExpire, e.Keys[i].Key, nil, e.Keys[i].Millis); err != nil {
				return err
			}
		}
		return nil
	case TypeIdemPurge, TypeResult:
		return nil
	}
	if r.Type.Required() {
		return fmt.Errorf("%w: record of type %s", ErrNewer, r.Type)
	}
	return nil
}

func batchChanges(r *wal.Record, emit func(tenant uint32, op string, key, value []byte, expireAt int64) error) error {
	_, walk, err := decodeBatch(r.Payload)
	if err != nil {
		return err
	}
	for {
		m, ok, err := walk.next()
		if err != nil || !ok {
			return err
		}
		op := ChangePut
		if m.Delete {
			op = ChangeDelete
		}
		if err := emit(r.Tenant, op, m.Key, m.Value, m.ExpireAt); err != nil {
			return err
		}
	}
}
