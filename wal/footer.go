package wal

import (
	"encoding/binary"
	"fmt"
)

// FooterTrailerLen is the length of the end of every sealed segment that says
// how long its footer is.
const FooterTrailerLen = 16

const (
	footerFixedLen = 72
	pointFixedLen  = 18
	footerMagic    = 0x4C4145534244_4E0A
)

// Footer is the end of a sealed segment.
type Footer struct {
	First, Last         LSN // of the records; Last is First-1 when there are none
	Records             uint64
	FirstTime, LastTime int64    // µs since the Unix epoch, of the records
	Sum                 [32]byte // SHA-256 of everything before the footer
	Points              []Point
}

// footerFrameLen returns the length of a footer's frame for points whose names
// have nameBytes bytes in total.
func footerFrameLen(points, nameBytes int) int {
	return frameHeaderLen + paddedLen(footerFixedLen+points*pointFixedLen+nameBytes) + FooterTrailerLen
}

func pointNameBytes(points []Point) int {
	n := 0
	for _, p := range points {
		n += len(p.Name)
	}
	return n
}

// encodeFooter returns the complete frame, which begins at offset.
func encodeFooter(s sealer, f *Footer, durable LSN, offset int64) []byte {
	total := footerFrameLen(len(f.Points), pointNameBytes(f.Points))
	frame := make([]byte, total)
	b := frame[frameHeaderLen:]
	binary.LittleEndian.PutUint64(b[0:], uint64(f.Last))
	binary.LittleEndian.PutUint64(b[8:], f.Records)
	binary.LittleEndian.PutUint64(b[16:], uint64(f.FirstTime))
	binary.LittleEndian.PutUint64(b[24:], uint64(f.LastTime))
	copy(b[32:64], f.Sum[:])
	binary.LittleEndian.PutUint32(b[64:], uint32(len(f.Points)))
	at := footerFixedLen
	for _, p := range f.Points {
		binary.LittleEndian.PutUint64(b[at:], uint64(p.LSN))
		binary.LittleEndian.PutUint64(b[at+8:], uint64(p.Time))
		binary.LittleEndian.PutUint16(b[at+16:], uint16(len(p.Name)))
		at += pointFixedLen + copy(b[at+pointFixedLen:], p.Name)
	}
	trailer := frame[total-FooterTrailerLen:]
	binary.LittleEndian.PutUint32(trailer[0:], uint32(total))
	binary.LittleEndian.PutUint64(trailer[8:], footerMagic)
	s.sealFrame(frame, frameHeader{
		kind: kindSeal, bodyLen: total - frameHeaderLen, first: f.Last + 1, durable: durable,
	}, offset)
	return frame
}

// decodeFooter reads the body of a seal frame whose checksum holds. A non-empty
// reason means that it contradicts itself.
func decodeFooter(first LSN, h frameHeader, b []byte) (f Footer, reason string) {
	if len(b) < footerFixedLen+FooterTrailerLen || len(b)%frameAlignment != 0 {
		return f, "footer too short"
	}
	points := binary.LittleEndian.Uint32(b[64:])
	f = Footer{
		First:     first,
		Last:      LSN(binary.LittleEndian.Uint64(b[0:])),
		Records:   binary.LittleEndian.Uint64(b[8:]),
		FirstTime: int64(binary.LittleEndian.Uint64(b[16:])),
		LastTime:  int64(binary.LittleEndian.Uint64(b[24:])),
		Sum:       [32]byte(b[32:64]),
	}
	rest := b[footerFixedLen : len(b)-FooterTrailerLen]
	if uint64(points)*pointFixedLen > uint64(len(rest)) {
		return f, "footer's number of restore points does not fit its length"
	}
	for range points {
		if len(rest) < pointFixedLen || len(rest)-pointFixedLen < int(binary.LittleEndian.Uint16(rest[16:])) {
			return f, "footer's restore point cut off"
		}
		end := pointFixedLen + int(binary.LittleEndian.Uint16(rest[16:]))
		f.Points = append(f.Points, Point{
			LSN:  LSN(binary.LittleEndian.Uint64(rest[0:])),
			Time: int64(binary.LittleEndian.Uint64(rest[8:])),
			Name: string(rest[pointFixedLen:end]),
		})
		rest = rest[end:]
	}
	if n, err := FooterLen(b[len(b)-FooterTrailerLen:]); err != nil || n != len(b)+frameHeaderLen {
		return f, "footer's trailer differs"
	}
	return f, f.valid(h, rest)
}

// valid checks what must hold in every footer; rest is what follows its points.
func (f *Footer) valid(h frameHeader, rest []byte) (reason string) {
	switch {
	case len(rest) >= frameAlignment:
		return "footer has bytes that belong to nothing"
	case f.Last+1 != h.first || f.Last+1 < f.First || uint64(f.Last+1-f.First) != f.Records:
		return "footer's LSNs do not fit its number of records"
	case f.LastTime < f.FirstTime:
		return "footer's times go back"
	}
	for _, p := range f.Points {
		if p.LSN < f.First || p.LSN > f.Last || len(p.Name) == 0 || len(p.Name) > PointNameBytesMax {
			return "footer's restore point is not of this segment"
		}
	}
	return ""
}

// FooterLen returns the length of the footer of a sealed segment, given the
// segment's last FooterTrailerLen bytes. The length is bounded, not verified:
// DecodeFooter does that.
func FooterLen(trailer []byte) (int, error) {
	if len(trailer) != FooterTrailerLen || binary.LittleEndian.Uint64(trailer[8:]) != footerMagic {
		return 0, fmt.Errorf("%w: segment does not end with a footer", ErrCorrupt)
	}
	n := binary.LittleEndian.Uint32(trailer)
	if n < frameHeaderLen+footerFixedLen+FooterTrailerLen || n > frameHeaderLen+frameBodyMax {
		return 0, fmt.Errorf("%w: footer length %d out of bounds", ErrCorrupt, n)
	}
	return int(n), nil
}

// DecodeFooter decodes the footer of a sealed segment of size bytes, given its
// preamble and its last bytes: as many as FooterLen says, or more. The name is
// for errors.
func DecodeFooter(p Preamble, tail []byte, size int64, name string) (Footer, error) {
	damaged := func(reason string) (Footer, error) {
		return Footer{}, &CorruptError{Path: name, Offset: size - int64(len(tail)), FirstLSN: p.First, Reason: reason}
	}
	if len(tail) < FooterTrailerLen || int64(len(tail)) > size {
		return damaged("footer cut off")
	}
	n, err := FooterLen(tail[len(tail)-FooterTrailerLen:])
	if err != nil {
		return damaged("segment does not end with a footer")
	}
	if n > len(tail) {
		return damaged("footer cut off")
	}
	frame := tail[len(tail)-n:]
	s := newSealer(p.Salt, p.First)
	h, verdict, reason := s.openHeader(frame, size-int64(n))
	switch {
	case verdict == headerNewer:
		return Footer{}, &VersionError{Path: name, Offset: size - int64(n), FirstLSN: p.First, What: reason}
	case verdict != headerValid:
		return damaged(reason)
	case h.kind != kindSeal || h.size() != int64(n):
		return damaged("segment does not end with a footer")
	case s.body(frame[frameHeaderLen:]) != h.bodyCRC:
		return damaged("footer checksum differs")
	}
	f, reason := decodeFooter(p.First, h, frame[frameHeaderLen:])
	if reason != "" {
		return damaged(reason)
	}
	return f, nil
}
