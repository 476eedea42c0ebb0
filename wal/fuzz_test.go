package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every decoder takes anything: it does not panic, does not allocate by what a
// length claims, and what it accepts encodes to the same bytes again.

func FuzzPreamble(f *testing.F) {
	for _, b := range goldenFiles(f) {
		f.Add(b[:PreambleLen], true)
	}
	f.Add([]byte("short"), false)
	f.Fuzz(func(t *testing.T, b []byte, resum bool) {
		if resum && len(b) >= PreambleLen { // get past the checksum
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[preambleCRCAt:], crc32.Checksum(b[:preambleCRCAt], castagnoli))
		}
		p, err := DecodePreamble(b, "x")
		if err != nil {
			if !isClear(err) {
				t.Errorf("unclear: %v", err)
			}
			return
		}
		var again [PreambleLen]byte
		p.encode(again[:])
		if q, err := DecodePreamble(again[:], SegmentName(p.First)); err != nil || q != p {
			t.Errorf("%+v became %+v, %v", p, q, err)
		}
	})
}

func FuzzFrameHeader(f *testing.F) {
	for _, b := range goldenFiles(f) {
		f.Add(b[PreambleLen:PreambleLen+frameHeaderLen], int64(PreambleLen), uint64(7), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, offset int64, salt uint64, resum bool) {
		if len(b) < frameHeaderLen {
			return
		}
		s := newSealer(salt, 1)
		b = bytes.Clone(b[:frameHeaderLen])
		if resum {
			binary.LittleEndian.PutUint32(b[frameHeaderCRC:], s.header(b, offset))
		}
		h, verdict, reason := s.openHeader(b, offset)
		if verdict != headerValid {
			if reason == "" {
				t.Error("no reason")
			}
			return
		}
		if h.bodyLen <= 0 || h.bodyLen > frameBodyMax || h.durable >= h.first {
			t.Errorf("out of bounds: %+v", h)
		}
		if _, verdict, _ := s.openHeader(b, offset+8); verdict == headerValid {
			t.Error("valid elsewhere too")
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, b := range goldenFiles(f) {
		f.Add(b[PreambleLen+frameHeaderLen:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, n, reason := decodeRecord(b)
		if reason != "" {
			return
		}
		var batch Batch
		if err := batch.Add(rec.Type, rec.Tenant, rec.VShard, rec.Idem, rec.Payload); err != nil {
			t.Fatal(err)
		}
		batch.patch(rec.LSN, rec.Time)
		if !bytes.Equal(batch.buf, b[:n]) {
			t.Errorf("%x became %x", b[:n], batch.buf)
		}
	})
}

func FuzzFooter(f *testing.F) {
	s := newSealer(1, 1)
	points := []Point{{Name: "a", LSN: 3, Time: 9}, {Name: "bb", LSN: 4, Time: 9}}
	for _, footer := range []Footer{
		{First: 1, Last: 5, Records: 5, FirstTime: 1, LastTime: 9, Points: points}, {First: 1, Last: 1, Records: 1},
	} {
		f.Add(encodeFooter(s, &footer, footer.Last, 4096)[frameHeaderLen:], uint64(footer.Last))
	}
	f.Fuzz(func(t *testing.T, body []byte, last uint64) {
		footer, reason := decodeFooter(1, frameHeader{kind: kindSeal, first: LSN(last) + 1}, body)
		if reason != "" {
			return
		}
		again := encodeFooter(s, &footer, footer.Last, 4096)
		p := Preamble{First: 1, Salt: 1}
		got, err := DecodeFooter(p, again, 4096+int64(len(again)), "x")
		if err != nil || !cmp.Equal(got, footer) {
			t.Errorf("%+v became %+v, %v", footer, got, err)
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add(Checkpoint{5}.Append(nil))
	f.Add(RestorePoint{"x"}.Append(nil))
	f.Add(Digest{LSN: 1}.Append(nil))
	f.Add(Opened{"v", "h"}.Append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		check := func(again []byte, err error) {
			if err == nil && !bytes.Equal(again, p) {
				t.Errorf("%x became %x", p, again)
			}
		}
		c, err := DecodeCheckpoint(p)
		check(c.Append(nil), err)
		r, err := DecodeRestorePoint(p)
		check(r.Append(nil), err)
		d, err := DecodeDigest(p)
		check(d.Append(nil), err)
		o, err := DecodeOpened(p)
		check(o.Append(nil), err)
	})
}

// FuzzSegment changes a whole segment and, on request, makes the checksums fit
// again, so that what is behind them is reached too.
func FuzzSegment(f *testing.F) {
	for _, b := range goldenFiles(f) {
		f.Add(b, false, uint32(0))
		f.Add(b, true, uint32(PreambleLen))
		f.Add(b[:len(b)-5], true, uint32(PreambleLen+frameHeaderLen+3))
	}
	f.Fuzz(func(t *testing.T, b []byte, resum bool, flip uint32) {
		b = bytes.Clone(b)
		if len(b) > 0 {
			b[int(flip)%len(b)] ^= 1
		}
		if resum {
			resumSegment(b)
		}
		r := NewSegmentReader(bytes.NewReader(b), "x")
		var n uint64
		var err error
		var last LSN
		for err == nil {
			var rec Record
			if rec, err = r.Next(); err == nil {
				if n > 0 && rec.LSN != last+1 {
					t.Errorf("LSN %d after %d", rec.LSN, last)
				}
				n, last = n+1, rec.LSN
			}
		}
		if !errors.Is(err, io.EOF) && !isClear(err) {
			t.Errorf("unclear: %v", err)
		}
		if errors.Is(err, io.EOF) && r.Segment().Records != n {
			t.Errorf("%d records, described as %d", n, r.Segment().Records)
		}
		if cap(r.body) > 2*len(b)+2<<20 {
			t.Errorf("%d bytes allocated for %d", cap(r.body), len(b))
		}
	})
}

// resumSegment makes the checksums of a changed segment fit.
func resumSegment(b []byte) {
	if len(b) < PreambleLen {
		return
	}
	binary.LittleEndian.PutUint32(b[preambleCRCAt:], crc32.Checksum(b[:preambleCRCAt], castagnoli))
	p, err := DecodePreamble(b, "x")
	if err != nil {
		return
	}
	s := newSealer(p.Salt, p.First)
	for at := PreambleLen; at+frameHeaderLen <= len(b); {
		h := b[at : at+frameHeaderLen]
		n := int64(binary.LittleEndian.Uint32(h[8:]))
		end := int64(at+frameHeaderLen) + (n+7)&^7
		if end <= int64(len(b)) {
			binary.LittleEndian.PutUint32(h[32:], s.body(b[at+frameHeaderLen:end]))
		}
		binary.LittleEndian.PutUint32(h[frameHeaderCRC:], s.header(h, int64(at)))
		if end > int64(len(b)) {
			return
		}
		at = int(end)
	}
}
