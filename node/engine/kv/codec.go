package kv

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// Types of kv records. All are required: a reader that skipped one would have
// another state.
const (
	TypePut       = 64 | wal.RequiredBit
	TypeDelete    = 65 | wal.RequiredBit
	TypeBatch     = 66 | wal.RequiredBit
	TypeExpire    = 67 | wal.RequiredBit
	TypeIdemPurge = 68 | wal.RequiredBit
	TypeResult    = 69 | wal.RequiredBit

	typeFirst = TypePut
	typeLast  = 127 | wal.RequiredBit // reserved for kv
)

// Op says what was asked for. It is kept with the outcome of a request.
type Op uint8

// Ops. Their numbers are part of the format.
const (
	OpPut            Op = 1
	OpDelete         Op = 2
	OpIncrement      Op = 3
	OpCompareAndSwap Op = 4
	OpPutIfAbsent    Op = 5
	OpExpire         Op = 6
	OpBatch          Op = 7
	OpMaintenance    Op = 8
)

// Put is the payload of TypePut: the key has this value now.
type Put struct {
	Op       Op
	ExpireAt int64 // ms since the Unix epoch; 0: never
	Result   []byte
	Key      []byte
	Value    []byte
}

// Delete is the payload of TypeDelete: the key is gone.
type Delete struct {
	Op     Op
	Result []byte
	Key    []byte
}

// Mutation is one part of a Batch.
type Mutation struct {
	Delete   bool
	ExpireAt int64 // ms since the Unix epoch; 0: never
	Key      []byte
	Value    []byte
}

// Batch is the payload of TypeBatch: all of its changes at once, in order.
type Batch struct {
	Op        Op
	Result    []byte
	Mutations []Mutation
}

// Due is a key whose time has come: it is to go if its stored expiry is not after
// Millis.
type Due struct {
	Millis int64
	Tenant uint32
	Key    []byte
}

// Expire is the payload of TypeExpire.
type Expire struct {
	Op     Op
	Result []byte
	Keys   []Due
}

// IdemPurge is the payload of TypeIdemPurge: forget the outcomes of records
// before a time, the Limit oldest of them.
type IdemPurge struct {
	Op           Op
	Result       []byte
	Limit        uint32
	BeforeMicros int64
}

// Result is the payload of TypeResult: nothing changed, but the outcome of a
// request is to be kept for its idempotency key.
type Result struct {
	Op     Op
	Result []byte
}

const (
	headerLen      = 8
	mutationLen    = 12
	dueLen         = 16
	flagExpiry     = 1 << 0
	mutationPut    = 1
	mutationDelete = 2
)

func appendHeader(dst []byte, op Op, flags byte, result []byte, n int) []byte {
	dst = append(dst, byte(op), flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(result)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	return append(dst, result...)
}

// AppendPut appends the payload to dst. The parts must be within their limits:
// see CheckKey and its like. So for all Append functions.
func AppendPut(dst []byte, p *Put) []byte {
	var flags byte
	if p.ExpireAt != 0 {
		flags = flagExpiry
	}
	dst = appendHeader(dst, p.Op, flags, p.Result, len(p.Key))
	if flags != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.ExpireAt))
	}
	dst = append(dst, p.Key...)
	return append(dst, p.Value...)
}

// AppendDelete appends the payload to dst.
func AppendDelete(dst []byte, d *Delete) []byte {
	dst = appendHeader(dst, d.Op, 0, d.Result, len(d.Key))
	return append(dst, d.Key...)
}

// AppendBatch appends the payload to dst.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = appendHeader(dst, b.Op, 0, b.Result, len(b.Mutations))
	for i := range b.Mutations {
		dst = appendMutation(dst, &b.Mutations[i])
	}
	return dst
}

func appendMutation(dst []byte, c *Mutation) []byte {
	kind, flags, value, expiry := byte(mutationPut), byte(0), c.Value, c.ExpireAt
	if c.Delete {
		kind, value, expiry = mutationDelete, nil, 0
	}
	if expiry != 0 {
		flags = flagExpiry
	}
	dst = append(dst, kind, flags, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.Key)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value)))
	if expiry != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(expiry))
	}
	dst = append(dst, c.Key...)
	return append(dst, value...)
}

// BatchBytes returns the length of the payload that AppendBatch would make.
func BatchBytes(b *Batch) int {
	n := headerLen + len(b.Result)
	for i := range b.Mutations {
		n += mutationLen + 8 + len(b.Mutations[i].Key) + len(b.Mutations[i].Value)
	}
	return n
}

// AppendExpire appends the payload to dst.
func AppendExpire(dst []byte, e *Expire) []byte {
	dst = appendHeader(dst, e.Op, 0, e.Result, len(e.Keys))
	for i := range e.Keys {
		d := &e.Keys[i]
		dst = binary.LittleEndian.AppendUint64(dst, uint64(d.Millis))
		dst = binary.LittleEndian.AppendUint32(dst, d.Tenant)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(d.Key)))
		dst = append(dst, d.Key...)
	}
	return dst
}

// AppendIdemPurge appends the payload to dst.
func AppendIdemPurge(dst []byte, p *IdemPurge) []byte {
	dst = appendHeader(dst, p.Op, 0, p.Result, int(p.Limit))
	return binary.LittleEndian.AppendUint64(dst, uint64(p.BeforeMicros))
}

// AppendResult appends the payload to dst.
func AppendResult(dst []byte, r *Result) []byte {
	return appendHeader(dst, r.Op, 0, r.Result, 0)
}

// header is the decoded start of a payload; rest is what follows the result.
type header struct {
	op     Op
	flags  byte
	n      uint32
	result []byte
	rest   []byte
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// decodeHeader checks everything that all payloads have in common. flags are
// those that this type of payload may have.
func decodeHeader(p []byte, flags byte) (h header, err error) {
	if len(p) < headerLen {
		return h, malformed("payload is cut in its header")
	}
	h.op, h.flags = Op(p[0]), p[1]
	resultLen := int(binary.LittleEndian.Uint16(p[2:]))
	h.n = binary.LittleEndian.Uint32(p[4:])
	switch {
	case h.op == 0:
		return h, malformed("op is zero")
	case h.flags&^flags != 0:
		return h, fmt.Errorf("%w: flags %#x", ErrNewer, h.flags)
	case len(p)-headerLen < resultLen:
		return h, malformed("payload is cut in its result")
	}
	h.result = p[headerLen : headerLen+resultLen : headerLen+resultLen]
	h.rest = p[headerLen+resultLen:]
	return h, nil
}

func decodeExpiry(p []byte) (int64, []byte, error) {
	if len(p) < 8 {
		return 0, nil, malformed("cut in the expiry")
	}
	at := int64(binary.LittleEndian.Uint64(p))
	if at <= 0 {
		return 0, nil, malformed("expiry is not positive")
	}
	return at, p[8:], nil
}

func cutKey(p []byte, n uint32) (key, rest []byte, err error) {
	if n == 0 || n > KeyBytesMax {
		return nil, nil, malformed(fmt.Sprintf("key of %d bytes", n))
	}
	if uint64(n) > uint64(len(p)) {
		return nil, nil, malformed("cut in the key")
	}
	return p[:n:n], p[n:], nil
}

// DecodePut decodes a payload; the parts alias it. Errors wrap ErrMalformed or
// ErrNewer. So for all Decode functions.
func DecodePut(p []byte) (Put, error) {
	h, err := decodeHeader(p, flagExpiry)
	if err != nil {
		return Put{}, err
	}
	put := Put{Op: h.op, Result: h.result}
	if h.flags&flagExpiry != 0 {
		if put.ExpireAt, h.rest, err = decodeExpiry(h.rest); err != nil {
			return Put{}, err
		}
	}
	if put.Key, put.Value, err = cutKey(h.rest, h.n); err != nil {
		return Put{}, err
	}
	return put, nil
}

// DecodeDelete decodes a payload.
func DecodeDelete(p []byte) (Delete, error) {
	h, err := decodeHeader(p, 0)
	if err != nil {
		return Delete{}, err
	}
	key, rest, err := cutKey(h.rest, h.n)
	if err != nil {
		return Delete{}, err
	}
	if len(rest) != 0 {
		return Delete{}, malformed("bytes after the key")
	}
	return Delete{Op: h.op, Result: h.result, Key: key}, nil
}

// mutations walks over the mutations of a batch without collecting them.
type mutations struct {
	left uint32
	rest []byte
}

func decodeBatch(p []byte) (header, mutations, error) {
	h, err := decodeHeader(p, 0)
	if err != nil {
		return h, mutations{}, err
	}
	if uint64(h.n)*(mutationLen+1) > uint64(len(h.rest)) {
		return h, mutations{}, malformed("more changes than bytes")
	}
	return h, mutations{left: h.n, rest: h.rest}, nil
}

// next returns false at the end, and when the payload is malformed.
func (c *mutations) next() (ch Mutation, ok bool, err error) {
	if c.left == 0 {
		if len(c.rest) != 0 {
			return ch, false, malformed("bytes after the last change")
		}
		return ch, false, nil
	}
	c.left--
	if len(c.rest) < mutationLen {
		return ch, false, malformed("cut in a change")
	}
	kind, flags := c.rest[0], c.rest[1]
	keyLen := binary.LittleEndian.Uint32(c.rest[4:])
	valueLen := binary.LittleEndian.Uint32(c.rest[8:])
	switch {
	case kind != mutationPut && kind != mutationDelete:
		return ch, false, fmt.Errorf("%w: change of kind %d", ErrNewer, kind)
	case flags&^flagExpiry != 0 || c.rest[2] != 0 || c.rest[3] != 0:
		return ch, false, fmt.Errorf("%w: flags of a change", ErrNewer)
	case kind == mutationDelete && (flags != 0 || valueLen != 0):
		return ch, false, malformed("delete with a value or an expiry")
	}
	ch.Delete = kind == mutationDelete
	c.rest = c.rest[mutationLen:]
	if flags&flagExpiry != 0 {
		if ch.ExpireAt, c.rest, err = decodeExpiry(c.rest); err != nil {
			return ch, false, err
		}
	}
	if ch.Key, c.rest, err = cutKey(c.rest, keyLen); err != nil {
		return ch, false, err
	}
	if uint64(valueLen) > uint64(len(c.rest)) {
		return ch, false, malformed("cut in a value")
	}
	ch.Value, c.rest = c.rest[:valueLen:valueLen], c.rest[valueLen:]
	return ch, true, nil
}

// DecodeBatch decodes a payload.
func DecodeBatch(p []byte) (Batch, error) {
	h, walk, err := decodeBatch(p)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Op: h.op, Result: h.result, Mutations: make([]Mutation, 0, h.n)}
	for {
		c, ok, err := walk.next()
		if err != nil {
			return Batch{}, err
		}
		if !ok {
			return b, nil
		}
		b.Mutations = append(b.Mutations, c)
	}
}

// DecodeExpire decodes a payload.
func DecodeExpire(p []byte) (Expire, error) {
	h, err := decodeHeader(p, 0)
	if err != nil {
		return Expire{}, err
	}
	if uint64(h.n)*(dueLen+1) > uint64(len(h.rest)) {
		return Expire{}, malformed("more keys than bytes")
	}
	e := Expire{Op: h.op, Result: h.result, Keys: make([]Due, h.n)}
	rest := h.rest
	for i := range e.Keys {
		if len(rest) < dueLen {
			return Expire{}, malformed("cut in a key")
		}
		d := &e.Keys[i]
		d.Millis = int64(binary.LittleEndian.Uint64(rest))
		d.Tenant = binary.LittleEndian.Uint32(rest[8:])
		keyLen := binary.LittleEndian.Uint32(rest[12:])
		if d.Millis <= 0 {
			return Expire{}, malformed("due time is not positive")
		}
		if d.Key, rest, err = cutKey(rest[dueLen:], keyLen); err != nil {
			return Expire{}, err
		}
	}
	if len(rest) != 0 {
		return Expire{}, malformed("bytes after the last key")
	}
	return e, nil
}

// DecodeIdemPurge decodes a payload.
func DecodeIdemPurge(p []byte) (IdemPurge, error) {
	h, err := decodeHeader(p, 0)
	if err != nil {
		return IdemPurge{}, err
	}
	if len(h.rest) != 8 || h.n == 0 {
		return IdemPurge{}, malformed("purge without time or limit")
	}
	before := int64(binary.LittleEndian.Uint64(h.rest))
	if before < 0 {
		return IdemPurge{}, malformed("purge before 1970")
	}
	return IdemPurge{Op: h.op, Result: h.result, Limit: h.n, BeforeMicros: before}, nil
}

// DecodeResult decodes a payload.
func DecodeResult(p []byte) (Result, error) {
	h, err := decodeHeader(p, 0)
	if err != nil {
		return Result{}, err
	}
	if len(h.rest) != 0 || h.n != 0 {
		return Result{}, malformed("bytes after the result")
	}
	return Result{Op: h.op, Result: h.result}, nil
}
