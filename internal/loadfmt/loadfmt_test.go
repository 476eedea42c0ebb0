package loadfmt

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readAll gives the entries and the complaints of a source, in order.
func readAll(t *testing.T, s Source) (entries []Entry, bad []string) {
	t.Helper()
	for {
		e, err := s.Next()
		var b *BadEntryError
		switch {
		case errors.As(err, &b):
			bad = append(bad, b.Error())
		case errors.Is(err, io.EOF):
			return entries, bad
		case err != nil:
			t.Fatal(err)
		default:
			entries = append(entries, e)
		}
	}
}

func readText(t *testing.T, f Format, text string) ([]Entry, []string) {
	t.Helper()
	s, err := NewReader(strings.NewReader(text), "in", f)
	if err != nil {
		t.Fatal(err)
	}
	entries, bad := readAll(t, s)
	if s.Offset() != int64(len(text)) {
		t.Errorf("offset %d at the end of %d bytes", s.Offset(), len(text))
	}
	return entries, bad
}

func TestJSONLines(t *testing.T) {
	text := "\ufeff" + `{"key":"a","value":"1"}` + "\r\n\n" +
		` { "value" : "x\ty\"\\\/\b\f\n\r\u00e9\ud83d\ude00" , "key":"b" , "ttl": 90.5 } ` + "\n" +
		`{"key_b64":"/wA=","value_b64":"","ttl":"1h30m"}` + "\n" +
		`{"key":"doc","value":{"a":[1,"}",{"b":null}]}}` + "\n" +
		`{"key":"n","value":-1.50,"expires_at":"2031-01-01T02:00:00.125+02:00"}` + "\n" +
		`{"key":"t","value":true}`
	got, bad := readText(t, JSONLines, text)
	want := []Entry{
		{Key: []byte("a"), Value: []byte("1"), Place: "in:1"},
		{Key: []byte("b"), Value: []byte("x\ty\"\\/\b\f\n\ré😀"), TTL: 90500 * time.Millisecond, Place: "in:3"},
		{Key: []byte{0xff, 0}, Value: []byte{}, TTL: 90 * time.Minute, Place: "in:4"},
		{Key: []byte("doc"), Value: []byte(`{"a":[1,"}",{"b":null}]}`), Place: "in:5"},
		{Key: []byte("n"), Value: []byte("-1.50"), ExpireAt: time.Date(2031, 1, 1, 0, 0, 0, 125e6, time.UTC), Place: "in:6"},
		{Key: []byte("t"), Value: []byte("true"), Place: "in:7"},
	}
	if d := cmp.Diff(want, got); d != "" || bad != nil {
		t.Errorf("-want +got\n%s%v", d, bad)
	}
}

func TestMalformedJSONLines(t *testing.T) {
	for line, want := range map[string]string{
		`{"key":"a","value":"1"`:              "malformed JSON",
		`{"key":"a","value":"1"} x`:           "malformed JSON at byte",
		`[]`:                                  "want a JSON object",
		`"a"`:                                 "want a JSON object",
		`   `:                                 "malformed JSON",
		`{}`:                                  `no "key"`,
		`{"key":"a"}`:                         `no "value"`,
		`{"key":"","value":"1"}`:              "the key is empty",
		`{"key_b64":"","value":"1"}`:          "the key is empty",
		`{"key":1,"value":"1"}`:               "key: want a string",
		`{"key":"a","value":null}`:            "value is null",
		`{"key":"a","value":"1","value":"2"}`: `"value" is there twice`,
		`{"key":"a","key_b64":"YQ==","value":"2"}`:                            "exclude each other",
		`{"key":"a","value":"1","tll":3}`:                                     `unknown field "tll"`,
		`{"Key":"a","value":"1"}`:                                             `unknown field "Key"`,
		`{"key":"a","value":"1","ttl":0}`:                                     "ttl",
		`{"key":"a","value":"1","ttl":-1}`:                                    "ttl",
		`{"key":"a","value":"1","ttl":1e300}`:                                 "ttl",
		`{"key":"a","value":"1","ttl":"NaN"}`:                                 "ttl",
		`{"key":"a","value":"1","ttl":"soon"}`:                                "ttl",
		`{"key":"a","value":"1","ttl":[1]}`:                                   "ttl",
		`{"key":"a","value":"1","ttl":1,"expires_at":"2031-01-01T00:00:00Z"}`: "exclude each other",
		`{"key":"a","value":"1","expires_at":"2031-01-01T00:00:00"}`:          "RFC 3339",
		`{"key":"a","value":"1","expires_at":"1960-01-01T00:00:00Z"}`:         "after 1970",
		`{"key":"a","value":"1","expires_at":12}`:                             "expires_at",
		`{"key":"\ud800","value":"1"}`:                                        "not Unicode",
		`{"key":"\udc00\ud800","value":"1"}`:                                  "not Unicode",
		`{"key":"a","value":"\ud800x"}`:                                       "not Unicode",
		"{\"key\":\"a\",\"value\":\"\xff\"}":                                  "not Unicode",
		"{\"key\":\"a\",\"value\":[\"\xff\"]}":                                "not Unicode",
		`{"key_b64":"YQ","value":"1"}`:                                        "base64",
		`{"key_b64":"YR==","value":"1"}`:                                      "base64",
		`{"key_b64":"Y\nQ==","value":"1"}`:                                    "base64",
		`{"key":"a","value_b64":7}`:                                           "value_b64: want a string",
	} {
		got, bad := readText(t, JSONLines, line+"\n"+`{"key":"next","value":"1"}`)
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "in:1: ") || !strings.Contains(bad[0], want) {
			t.Errorf("%s: complaints %q, want one with in:1 and %q", line, bad, want)
		}
		if len(got) != 1 || string(got[0].Key) != "next" {
			t.Errorf("%s: the next line was not read: %v", line, got)
		}
	}
}

func TestTSV(t *testing.T) {
	text := "a\t1\nk\\tx\\\\\\x00\\xfF\tline\\r\\n\t1.5\r\n\n" + "e\t\t2h\nlast\tv"
	got, bad := readText(t, TSV, text)
	want := []Entry{
		{Key: []byte("a"), Value: []byte("1"), Place: "in:1"},
		{Key: []byte("k\tx\\\x00\xff"), Value: []byte("line\r\n"), TTL: 1500 * time.Millisecond, Place: "in:2"},
		{Key: []byte("e"), Value: []byte{}, TTL: 2 * time.Hour, Place: "in:4"},
		{Key: []byte("last"), Value: []byte("v"), Place: "in:5"},
	}
	if d := cmp.Diff(want, got); d != "" || bad != nil {
		t.Errorf("-want +got\n%s%v", d, bad)
	}
}

func TestMalformedTSV(t *testing.T) {
	for line, want := range map[string]string{
		"justakey":   "no tab",
		"\tv":        "the key is empty",
		"a\tb\t1\td": "more than three fields",
		"a\tb\tsoon": "ttl",
		"a\tb\t":     "ttl",
		"a\\q\tb":    `unknown escape \q`,
		"a\tb\\":     "a backslash at the end",
		"a\tb\\x1":   "two hexadecimal digits",
		"a\tb\\xzz":  "two hexadecimal digits",
		"a\\x+1\tb":  "two hexadecimal digits",
	} {
		got, bad := readText(t, TSV, line+"\nnext\t1\n")
		if len(bad) != 1 || !strings.Contains(bad[0], want) || len(got) != 1 {
			t.Errorf("%q: complaints %q (want %q), entries %v", line, bad, want, got)
		}
	}
}

// A line above the limit is refused once, whole, and the next one is read.
func TestLongLine(t *testing.T) {
	l := newLineReader(io.MultiReader(strings.NewReader("ab\n"), strings.NewReader(strings.Repeat("x", 1<<20)+"\ncd\n"+strings.Repeat("y", 1<<19))))
	l.max = 1 << 19
	var got []string
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, string(line[:2]))
	}
	want := []string{"ab", ErrLineTooLong.Error(), "cd", "yy"}
	if d := cmp.Diff(want, got); d != "" || l.number != 5 {
		t.Errorf("-want +got\n%s line %d", d, l.number)
	}
}

func TestTree(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"b/x.go": "package b", "a.txt": "", "b.txt": "bytes \xff", "c/d/e": "deep"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a.txt", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(root, "big"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(big.Truncate(fileBytesMax+1), big.Close()); err != nil {
		t.Fatal(err)
	}
	tree, err := ScanTree(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "c/d/e")); err != nil {
		t.Fatal(err)
	}
	s := tree.Source()
	entries, bad := readAll(t, s)
	var got []string
	for _, e := range entries {
		got = append(got, string(e.Key)+"="+string(e.Value))
	}
	if d := cmp.Diff([]string{"a.txt=", "b/x.go=package b", "b.txt=bytes \xff"}, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if len(bad) != 2 || !strings.Contains(bad[0], "big: "+ErrFileTooLarge.Error()) || !strings.Contains(bad[1], "no such file") {
		t.Errorf("complaints %q, want the large file and the vanished one", bad)
	}
	if s.Skipped() != 1 || s.Offset() != tree.Bytes || tree.Files != 5 {
		t.Errorf("skipped %d, offset %d of %d, files %d", s.Skipped(), s.Offset(), tree.Bytes, tree.Files)
	}
	if _, err := ScanTree(filepath.Join(root, "a.txt")); err == nil {
		t.Error("a file is not a tree")
	}
	if _, err := ScanTree(filepath.Join(root, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

func TestReadFileThatGrew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("grow"), 10000)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(path, 3); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
}

// A failing reader is an error, not a bad line and not the end.
func TestReadFailure(t *testing.T) {
	broken := errors.New("disk on fire")
	s, err := NewReader(io.MultiReader(strings.NewReader("a\tb\n"), &failingReader{broken}), "in", TSV)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	var bad *BadEntryError
	if _, err := s.Next(); !errors.Is(err, broken) || errors.As(err, &bad) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }

// What the writer writes, the reader reads: any bytes, any expiry.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Entry
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			e := Entry{Key: drawBytes(t, "key", 1), Value: drawBytes(t, "value", 0)}
			if rapid.Bool().Draw(t, "expires") {
				e.ExpireAt = ExpireAtMillis(rapid.Int64Range(1, 253402300799999).Draw(t, "ms"))
			}
			want = append(want, e)
		}
		var buf bytes.Buffer
		w := NewWriter(&buf)
		for _, e := range want {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if w.Count() != int64(len(want)) || w.Bytes() != int64(buf.Len()) {
			t.Fatalf("count %d, bytes %d", w.Count(), w.Bytes())
		}
		s, err := NewReader(&buf, "in", JSONLines)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			got, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			got.Place = ""
			if d := cmp.Diff(want[i], got); d != "" {
				t.Fatalf("entry %d: -want +got\n%s", i, d)
			}
		}
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("got %v at the end", err)
		}
	})
}

func drawBytes(t *rapid.T, name string, least int) []byte {
	if rapid.Bool().Draw(t, name+" is text") {
		return []byte(rapid.StringN(least, 40, -1).Draw(t, name))
	}
	return rapid.SliceOfN(rapid.Byte(), least, 40).Draw(t, name)
}
