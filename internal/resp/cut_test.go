package resp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// What cut takes is what the reader of requests would have read, and what it calls
// not whole is not whole to the reader, either.
func FuzzCut(f *testing.F) {
	for _, s := range []string{request("GET", "k"), request("SET", "k", "") + request("PING"), "*1\r\n$4\r\nPI", "*2\r\n$1\r\nab\r\n", "PING\r\n", "*0\r\n", "*-1\r\n",
		"*1\r\n$-1\r\n", "*1\n$1\na\n", "*01\r\n$001\r\na\r\n", "*1\r", "*\r\n", "*1\r\n$\r\n", "*99999999\r\n", "*1025\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9999999\r\nx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		n, args := cut(p, nil)
		if n < 0 {
			return
		}
		r := requestReader{r: bufio.NewReaderSize(bytes.NewReader(p), readBuffer), lim: limits{argsMax, argBytesMax, totalBytesMax, lineBytesMax}}
		want, err := r.next()
		if n == 0 {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q is not whole, but is read as %q, %v", p, want, err)
			}
			return
		}
		if err != nil || !slices.EqualFunc(args, want, bytes.Equal) {
			t.Fatalf("%q: %q, the reader has %q, %v", p, args, want, err)
		}
		if again, _ := cut(p[:n:n], nil); again != n {
			t.Fatalf("%q alone is of %d bytes", p[:n], again)
		}
	})
}
