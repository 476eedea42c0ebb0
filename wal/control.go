package wal

import (
	"encoding/binary"
	"fmt"
)

// PointNameBytesMax limits the name of a restore point.
const PointNameBytesMax = 255

// Checkpoint is the payload of TypeCheckpoint: every vshard's state is flushed
// up to LSN.
type Checkpoint struct{ LSN LSN }

// RestorePoint is the payload of TypeRestorePoint: the name of the record's LSN.
type RestorePoint struct{ Name string }

// Digest is the payload of TypeDigest: the digest of the state at exactly LSN.
type Digest struct {
	LSN     LSN
	Sum     [32]byte
	Entries uint64
}

// Opened is the payload of TypeOpen: who opened the log for writing.
type Opened struct {
	Version string // of the program
	Host    string
}

// Each payload begins with a form byte, 1 today. A decoder refuses a form that
// it does not know; trailing bytes are refused too, so that every payload has
// one spelling.
const controlForm = 1

// Append adds the payload to dst.
func (c Checkpoint) Append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, controlForm), uint64(c.LSN))
}

// DecodeCheckpoint reads what Append writes.
func DecodeCheckpoint(p []byte) (Checkpoint, error) {
	if err := checkControl("checkpoint", p, 9, 9); err != nil {
		return Checkpoint{}, err
	}
	return Checkpoint{LSN: LSN(binary.LittleEndian.Uint64(p[1:]))}, nil
}

// Append adds the payload to dst. The name must be 1 to PointNameBytesMax bytes.
func (r RestorePoint) Append(dst []byte) []byte {
	return append(append(dst, controlForm), r.Name...)
}

// DecodeRestorePoint reads what Append writes.
func DecodeRestorePoint(p []byte) (RestorePoint, error) {
	if err := checkControl("restore point", p, 2, 1+PointNameBytesMax); err != nil {
		return RestorePoint{}, err
	}
	return RestorePoint{Name: string(p[1:])}, nil
}

// Append adds the payload to dst.
func (d Digest) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, controlForm), uint64(d.LSN))
	dst = append(dst, d.Sum[:]...)
	return binary.LittleEndian.AppendUint64(dst, d.Entries)
}

// DecodeDigest reads what Append writes.
func DecodeDigest(p []byte) (Digest, error) {
	if err := checkControl("digest", p, 49, 49); err != nil {
		return Digest{}, err
	}
	d := Digest{LSN: LSN(binary.LittleEndian.Uint64(p[1:])), Entries: binary.LittleEndian.Uint64(p[41:])}
	copy(d.Sum[:], p[9:])
	return d, nil
}

// Append adds the payload to dst; longer strings than 65535 bytes are cut.
func (o Opened) Append(dst []byte) []byte {
	dst = append(dst, controlForm)
	for _, s := range []string{o.Version, o.Host} {
		s = s[:min(len(s), 0xFFFF)]
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// DecodeOpened reads what Append writes.
func DecodeOpened(p []byte) (Opened, error) {
	if err := checkControl("open", p, 5, 5+2*0xFFFF); err != nil {
		return Opened{}, err
	}
	var o Opened
	rest := p[1:]
	for _, s := range []*string{&o.Version, &o.Host} {
		if len(rest) < 2 || len(rest)-2 < int(binary.LittleEndian.Uint16(rest)) {
			return Opened{}, fmt.Errorf("wal: payload of open record cut off")
		}
		n := 2 + int(binary.LittleEndian.Uint16(rest))
		*s, rest = string(rest[2:n]), rest[n:]
	}
	if len(rest) != 0 {
		return Opened{}, fmt.Errorf("wal: payload of open record has %d bytes too many", len(rest))
	}
	return o, nil
}

func checkControl(what string, p []byte, lenMin, lenMax int) error {
	if len(p) < lenMin || len(p) > lenMax {
		return fmt.Errorf("wal: payload of %s record has %d bytes, want %d to %d", what, len(p), lenMin, lenMax)
	}
	if p[0] != controlForm {
		return fmt.Errorf("%w: payload of %s record has form %d", ErrVersion, what, p[0])
	}
	return nil
}
