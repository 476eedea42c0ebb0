package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// put appends one record per payload and waits until they are durable.
func put(t testing.TB, l *Log, payloads ...string) LSN {
	t.Helper()
	var b Batch
	for _, p := range payloads {
		if err := b.Add(64|RequiredBit, 1, 2, []byte("idem"), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	first, _, err := l.AppendSync(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// payloads reads everything from the given LSN on.
func payloads(t testing.TB, l *Log, from LSN) []string {
	t.Helper()
	got, err := readPayloads(l, from)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func readPayloads(l *Log, from LSN) (got []string, err error) {
	r := l.NewReader(from)
	defer r.Close()
	next := from
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if next != 0 && rec.LSN != next {
			return got, fmt.Errorf("LSN %d in the place of %d", rec.LSN, next)
		}
		next = rec.LSN + 1
		got = append(got, string(rec.Payload))
	}
}

func open(t testing.TB, fs vfs.FS, o *Options) *Log {
	t.Helper()
	opts := Options{}
	if o != nil {
		opts = *o
	}
	opts.FS = fs
	l, err := Open("wal", &opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReopen(t *testing.T) {
	fs := vfs.NewMem()
	var want []string
	for round := range 4 {
		l := open(t, fs, &Options{SegmentBytes: 8 << 10, Epoch: Epoch(round)})
		if diff := cmp.Diff(want, payloads(t, l, 1)); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		for i := range 200 {
			p := fmt.Sprintf("round %d record %d", round, i)
			if got := put(t, l, p); got != LSN(len(want)+1) {
				t.Fatalf("LSN %d, want %d", got, len(want)+1)
			}
			want = append(want, p)
		}
		if diff := cmp.Diff(want, payloads(t, l, 1)); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		closeLog(t, l)
	}
}

func TestTruncateEverythingKeepsThePosition(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, &Options{SegmentBytes: 8 << 10})
	for i := range 100 {
		put(t, l, fmt.Sprintf("%0200d", i))
	}
	if _, _, err := l.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, l, "x")
	if _, err := l.Truncate(l.Durable()); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	l = open(t, fs, nil)
	if _, err := l.Truncate(l.Durable()); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	l = open(t, fs, nil)
	if got := put(t, l, "y"); got != 102 {
		t.Fatalf("LSN %d, want 102", got)
	}
	if diff := cmp.Diff([]string{"y"}, payloads(t, l, 0)); diff != "" {
		t.Fatal(diff)
	}
	closeLog(t, l)
}

// bgCtx is for scenarios that outlive no test but have none at hand.
var bgCtx = context.Background()

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
