package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// A reader reaches the end, and goes on when there is more; what it read ahead
// before that is not taken for data.
func TestReaderGoesOnAtTheEnd(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	r := l.NewReader(1)
	defer r.Close()
	for i := range 60 {
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
		want := strings.Repeat("x", i*5)
		put(t, l, want)
		if rec, err := r.Next(); err != nil || string(rec.Payload) != want || rec.LSN != LSN(i+1) {
			t.Fatalf("LSN %d: %v", rec.LSN, err)
		}
	}
	closeLog(t, l)
}

func TestReaderFromEveryLSN(t *testing.T) {
	l := open(t, vfs.NewMem(), &Options{SegmentBytes: 4 << 10, SegmentAge: -1})
	var want []string
	for i := range 40 {
		p := []string{strings.Repeat("a", 3*i), strings.Repeat("b", 50)}
		put(t, l, p...)
		want = append(want, p...)
	}
	for from := range want {
		if diff := cmp.Diff(want[from:], payloads(t, l, LSN(from+1))); diff != "" {
			t.Fatalf("from %d:\n%s", from+1, diff)
		}
	}
	if got := payloads(t, l, 1000); len(got) != 0 {
		t.Errorf("%d records behind the end", len(got))
	}
	closeLog(t, l)
}

// Every type of record reaches a reader that knows it or may skip it; a required
// type that it does not know stops it, there and for good.
func TestUnknownRequiredType(t *testing.T) {
	known := func(typ Type) bool { return typ == 64|RequiredBit }
	l := open(t, vfs.NewMem(), &Options{KnownType: known})
	var b Batch
	for _, typ := range []Type{64 | RequiredBit, 99, 65 | RequiredBit, 64 | RequiredBit} {
		if err := b.Add(typ, 0, 0, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := l.AppendSync(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	r := l.NewReader(1)
	defer r.Close()
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var u *UnknownTypeError
		if _, err := r.Next(); !errors.As(err, &u) || u.LSN != 3 || u.Type != 65|RequiredBit || u.Offset != PreambleLen {
			t.Errorf("error %v", err)
		}
	}
	closeLog(t, l)
}

// A sealed segment read as a stream, by whatever pieces it comes in, is what the
// log says it is; its ends alone tell the same.
func TestSegmentReader(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{SegmentAge: -1, NodeID: "n1", Timeline: 2, Epoch: 3})
	put(t, l, "a", "b")
	point(t, l, "here")
	put(t, l, strings.Repeat("c", 600<<10))
	want, _, err := l.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	data, err := fs.UnsafeGetFileDataBuffer(want.Path)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:want.Bytes]
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "data with error": iotest.DataErrReader,
	} {
		r := NewSegmentReader(wrap(bytes.NewReader(append(data, "not part of it"...))), want.Path)
		p, err := r.Preamble()
		if err != nil || p.First != 1 || p.NodeID != "n1" || p.Timeline != 2 || p.Epoch != 3 {
			t.Fatalf("%s: preamble %+v, %v", name, p, err)
		}
		n := 0
		for ; ; n++ {
			if _, err = r.Next(); err != nil {
				break
			}
		}
		f, ok := r.Footer()
		if !isEOF(err) || n != 4 || !ok || f.Last != 4 {
			t.Errorf("%s: %d records, footer %+v, %v", name, n, f, err)
		}
		if diff := cmp.Diff(want, r.Segment()); diff != "" {
			t.Errorf("%s (-sealed +read):\n%s", name, diff)
		}
	}
	p, err := DecodePreamble(data[:PreambleLen], want.Path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := FooterLen(data[len(data)-FooterTrailerLen:])
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range [][]byte{data[len(data)-n:], data[len(data)-n-8:], data} {
		f, err := DecodeFooter(p, tail, want.Bytes, want.Path)
		if err != nil || f.Records != 4 || !cmp.Equal(f.Points, want.Points) || f.LastTime != want.LastTime {
			t.Errorf("footer from %d bytes: %+v, %v", len(tail), f, err)
		}
	}
	if _, err := DecodeFooter(p, data[len(data)-n+8:], want.Bytes, want.Path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cut footer: %v", err)
	}
}

// A read that fails is an error of the medium, not damage and no end. So is a
// connection that broke, whose error may wrap the sign of an early end.
func TestSegmentReaderReadError(t *testing.T) {
	f, _ := smallLog(t, false)
	data := f[SegmentName(1)]
	for _, broken := range []error{iotest.ErrTimeout, fmt.Errorf("connection broke: %w", io.ErrUnexpectedEOF)} {
		for n := range len(data) {
			r := NewSegmentReader(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken)), SegmentName(1))
			var err error
			for err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
				t.Fatalf("read error at %d: %v", n, err)
			}
		}
	}
}
