package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(in string) (Reply, error) {
	r := replyReader{r: bufio.NewReaderSize(strings.NewReader(in), lineBytesMax)}
	return r.next()
}

func TestReply(t *testing.T) {
	text := func(kind byte, s string) Reply { return Reply{Kind: kind, Text: []byte(s)} }
	for in, want := range map[string]Reply{
		"+OK\r\n":             text('+', "OK"),
		":-7\r\n":             {Kind: ':', Int: -7},
		"$3\r\na\r\n\r\n":     text('$', "a\r\n"),
		"$0\r\n\r\n":          text('$', ""),
		"$-1\r\n":             {},
		"*-1\r\n":             {},
		"*0\r\n":              {Kind: '*'},
		"*2\r\n:1\r\n$-1\r\n": {Kind: '*', Items: []Reply{{Kind: ':', Int: 1}, {}}},
	} {
		got, err := read(in)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v, (-want +got)\n%s", in, err, diff)
		}
	}
	var told Error
	if _, err := read("*2\r\n:1\r\n-NOPERM no\r\n"); !errors.As(err, &told) || told != "NOPERM no" {
		t.Errorf("an error within an array: %v", err)
	}
}

// What is no answer is told from one that is cut off.
func TestReply_Malformed(t *testing.T) {
	for _, in := range []string{
		"\r\n", "x\r\n", "+OK\n", ":x\r\n", "$x\r\n", "$-2\r\n", "$1\r\nabc\r\n", fmt.Sprintf("$%d\r\n", bytesMax+1), "HTTP/1.1 400 Bad Request\r\n",
		"*9223372036854775807\r\n", strings.Repeat("*1\r\n", depthMax+2), "+" + strings.Repeat("a", lineBytesMax),
		fmt.Sprintf("*%d\r\n", itemsMax+1) + strings.Repeat(":1\r\n", itemsMax+1),
	} {
		if r, err := read(in); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.40q: %+v, %v, want %v", in, r, err, ErrProtocol)
		}
	}
	for _, in := range []string{"", "$3\r\nab", "*2\r\n:1\r\n", "+O", fmt.Sprintf("$%d\r\nab", bytesMax-100)} {
		if _, err := read(in); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%.40q: %v, want %v", in, err, io.ErrUnexpectedEOF)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n$1\r\na\r\n*1\r\n:5\r\n", "$-1\r\n", "*1000000\r\n", "$60000000\r\nx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := read(in)
		if err != nil {
			return
		}
		if n := weigh(&r); n > len(in) {
			t.Errorf("%d bytes and items out of %d bytes", n, len(in))
		}
	})
}

func weigh(r *Reply) int {
	n := 1 + len(r.Text)
	for i := range r.Items {
		n += weigh(&r.Items[i])
	}
	return n
}
