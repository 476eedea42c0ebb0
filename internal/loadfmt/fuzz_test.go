package loadfmt

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// What the strict reader accepts, encoding/json reads the same; and writing it
// and reading it again gives the same entry.
func FuzzJSONLine(f *testing.F) {
	for _, s := range []string{
		`{"key":"a","value":"1","ttl":3}`, `{"key_b64":"/wA=","value_b64":"AAEC","expires_at":"2031-01-01T00:00:00.125Z"}`,
		`{"key":"\ud83d\ude00\u2028","value":{"a":[1,"}"]}}`, ` { "key" : "a" , "value" : -1e5 } `, `{"key":"\u0041","value":"\\"}`, `{}`, `[`, `{"key`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseJSONLine(line)
		if err != nil {
			return
		}
		var std struct {
			Key    *string         `json:"key"`
			Value  json.RawMessage `json:"value"`
			KeyB64 []byte          `json:"key_b64"`
			ValB64 []byte          `json:"value_b64"`
		}
		if err := json.Unmarshal(line, &std); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		key, value := std.KeyB64, std.ValB64
		if std.Key != nil {
			key = []byte(*std.Key)
		}
		if std.Value != nil {
			value = std.Value
			var s string
			if json.Unmarshal(std.Value, &s) == nil {
				value = []byte(s)
			}
		}
		if !bytes.Equal(key, e.Key) || !bytes.Equal(value, e.Value) {
			t.Fatalf("got %q=%q, encoding/json reads %q=%q", e.Key, e.Value, key, value)
		}
		again, err := parseJSONLine(AppendJSON(nil, e))
		if err != nil {
			t.Fatalf("%s: %v", AppendJSON(nil, e), err)
		}
		again.ExpireAt, e.ExpireAt = again.ExpireAt.Truncate(0), ExpireAtMillis(max(e.ExpireAt.UnixMilli(), 0))
		if d := cmp.Diff(e, again); d != "" {
			t.Fatalf("-written +read\n%s", d)
		}
	})
}

func FuzzTSVLine(f *testing.F) {
	for _, s := range []string{"a\tb", "a\\x00\tb\\t\t1h", "\\", "a\tb\t1e9", "\t\t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseTSVLine(line)
		if err == nil && (len(e.Key) == 0 || len(e.Key)+len(e.Value) > len(line) || e.TTL < 0) {
			t.Fatalf("%q gives %+v", line, e)
		}
	})
}

// Any bytes survive being written and read.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), int64(0))
	f.Add([]byte{0xe2, 0x80, 0xa8, 0xe2, 0x80}, []byte("\x00\x7f\"\\\u2029"), int64(1))
	f.Fuzz(func(t *testing.T, key, value []byte, ms int64) {
		if len(key) == 0 || ms < 0 || ms > 253402300799999 {
			return
		}
		line := AppendJSON(nil, Entry{Key: key, Value: value, ExpireAt: ExpireAtMillis(ms)})
		if !json.Valid(line) || !utf8.Valid(line) || bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("not a JSON line: %q", line)
		}
		got, err := parseJSONLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		wantMs := ms
		if got.ExpireAt.IsZero() {
			wantMs = 0
		}
		if !bytes.Equal(got.Key, key) || !bytes.Equal(got.Value, value) || wantMs != ms || (ms != 0 && got.ExpireAt.UnixMilli() != ms) {
			t.Fatalf("%s reads as %+v", line, got)
		}
	})
}
