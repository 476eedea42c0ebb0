package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readerOf(in io.Reader) *requestReader {
	return &requestReader{r: bufio.NewReaderSize(in, readBuffer), lim: limits{argsMax, argBytesMax, totalBytesMax, lineBytesMax}}
}

func TestRequest(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", []string{"GET", "k"}},
		{"*1\r\n$0\r\n\r\n", []string{""}},
		{"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n", []string{"ECHO", "a\r\nb"}},
		{"PING\r\n", []string{"PING"}},
		{"  set  k\t'it''s'\n", nil}, // a quote must end the word
		{`set k "a\x41\n\"" 'it\'s' b` + "\r\n", []string{"set", "k", "aA\n\"", "it's", "b"}},
		{`set "unbalanced` + "\r\n", nil},
		{"*0\r\n", []string{}},
		{"*-1\r\n", []string{}},
		{"\r\n", []string{}},
	} {
		args, err := readerOf(strings.NewReader(tc.in)).next()
		var proto protocolError
		if tc.want == nil {
			if !errors.As(err, &proto) {
				t.Errorf("%q: %q, %v, want a protocol error", tc.in, args, err)
			}
			continue
		}
		got := []string{}
		for _, a := range args {
			got = append(got, string(a))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, (-want +got)\n%s", tc.in, err, diff)
		}
	}
}

// Whatever is malformed ends with an error that says so, and what is cut off with
// one that does not.
func TestRequest_Malformed(t *testing.T) {
	for _, in := range []string{
		"*x\r\n", "*1 \r\n", "*1048577\r\n", "*9223372036854775807\r\n", "*99999999999\r\n", "*1\r\n+OK\r\n", "*1\r\n$x\r\n", "*1\r\n$-1\r\n",
		"*1\r\n$9223372036854775807\r\n", "*1\r\n$16781313\r\n", "*1\r\n$1\r\nabc\r\n", "*1\r\n$1\r\na\n\r", "*\r\n", "*-\r\n", "*1\r\n$\r\n",
		strings.Repeat("a", readBuffer*2) + "\r\n", "*" + strings.Repeat("1", 100),
	} {
		_, err := readerOf(strings.NewReader(in)).next()
		var proto protocolError
		if !errors.As(err, &proto) {
			t.Errorf("%.40q: %v, want a protocol error", in, err)
		}
	}
	small := readerOf(strings.NewReader("*3\r\n$4\r\naaaa\r\n$4\r\nbbbb\r\n$4\r\ncccc\r\n"))
	small.lim.total = 10
	if _, err := small.next(); err == nil {
		t.Error("a request above the limit of all its bytes is taken")
	}
	whole := "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
	for n := 1; n < len(whole); n++ {
		if _, err := readerOf(strings.NewReader(whole[:n])).next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v, want %v", whole[:n], err, io.ErrUnexpectedEOF)
		}
	}
}

// A header that promises much gets no memory before the bytes are there.
func TestRequest_Promises(t *testing.T) {
	const runs = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if _, err := readerOf(strings.NewReader("*1048576\r\n$16000000\r\nx")).next(); err == nil {
			t.Fatal("half a request is one")
		}
	}
	runtime.ReadMemStats(&after)
	allocated := (after.TotalAlloc - before.TotalAlloc) / runs
	if allocated > readBuffer+2*growStep {
		t.Errorf("%d bytes for a promise", allocated)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "PING\r\n", `set k "a\x41" 'b'` + "\r\n", "''\n", "*1\r\n$9223372036854775807\r\n", "*3\r\n$-1\r\n", "*1\r\n$1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		src := bytes.NewReader(in)
		r := readerOf(src)
		size := 0
		for {
			args, err := r.next()
			if err != nil {
				break
			}
			var again []byte
			for _, a := range args {
				size += len(a)
			}
			again = fmt.Appendf(again, "*%d\r\n", len(args))
			for _, a := range args {
				again = fmt.Appendf(again, "$%d\r\n%s\r\n", len(a), a)
			}
			back, err := readerOf(bytes.NewReader(again)).next()
			if err != nil || !slices.EqualFunc(args, back, bytes.Equal) {
				t.Fatalf("%q, written again, is %q, %v", args, back, err)
			}
		}
		if size > len(in) {
			t.Fatalf("%d bytes of arguments out of %d", size, len(in))
		}
	})
}
