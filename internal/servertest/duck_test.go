package servertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// duckRow is a row as duck prints it.
type duckRow struct {
	Tenant      uint32       `json:"tenant"`
	Key         string       `json:"key"` // hex
	LSN         wal.LSN      `json:"lsn"`
	Part        int          `json:"part"`
	Time        int64        `json:"time"` // µs
	Timeline    wal.Timeline `json:"timeline"`
	Epoch       wal.Epoch    `json:"epoch"`
	VShard      uint16       `json:"vshard"`
	Type        wal.Type     `json:"type"`
	Op          string       `json:"op"`
	ValueSize   int          `json:"value_size"`
	ValueSHA256 string       `json:"value_sha256"` // hex; null unless put
	Expires     int64        `json:"expires"`      // ms; null: never
	Offset      int64        `json:"offset"`
}

// buildDuck is done once for all tests.
var buildDuck = sync.OnceValues(func() (string, error) { return BuildDuck(context.Background()) })

// sameInDuckDB asks DuckDB for all rows of all indexes, and compares them with a
// scan of the segments and with what a test wrote.
func sameInDuckDB(t *testing.T, a *archive.Archive, written record) {
	t.Helper()
	duck, err := buildDuck()
	if errors.Is(err, exec.ErrNotFound) {
		t.Logf("DuckDB is left out: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	for name, data := range objects(t, a, "index/") {
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, err := exec.CommandContext(t.Context(), duck, files...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("duck: %v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	var got []duckRow
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var r duckRow
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		got = append(got, r)
	}
	want := scanned(t, a)
	if !slices.Equal(got, want) {
		t.Errorf("DuckDB reads %d rows, a scan %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("row %d:\n%+v\nscanned:\n%+v", i, got[i], want[i])
			}
		}
	}
	wrote(t, got, written)
}

// scanned are the rows that the records of all segments make, in the order of an
// index.
func scanned(t *testing.T, a *archive.Archive) []duckRow {
	t.Helper()
	c, err := a.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows []duckRow
	for _, s := range c.Segments {
		body, err := a.OpenSegment(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		r := wal.NewSegmentReader(body, s.String())
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, rowsOf(t, s, &rec, r.FrameOffset())...)
		}
		_ = body.Close()
	}
	slices.SortStableFunc(rows, func(x, y duckRow) int {
		if x.Tenant != y.Tenant {
			return int(x.Tenant) - int(y.Tenant)
		}
		return bytes.Compare([]byte(x.Key), []byte(y.Key)) // segments are in order of LSNs
	})
	return rows
}

func rowsOf(t *testing.T, s archive.SegmentEntry, rec *wal.Record, offset int64) (rows []duckRow) {
	t.Helper()
	err := kv.Changes(rec, func(tenant uint32, op string, key, value []byte, expireAt int64) error {
		r := duckRow{Tenant: tenant, Key: fmt.Sprintf("%X", key), LSN: rec.LSN, Part: len(rows), Time: rec.Time, Timeline: s.Timeline,
			Epoch: s.Epoch, VShard: rec.VShard, Type: rec.Type, Op: op, ValueSize: len(value), Expires: expireAt, Offset: offset}
		if op == "put" {
			r.ValueSHA256 = fmt.Sprintf("%X", sha256.Sum256(value))
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// wrote compares rows with what a test wrote.
func wrote(t *testing.T, rows []duckRow, written record) {
	t.Helper()
	byKey := map[string][]duckRow{}
	for _, r := range rows {
		byKey[r.Key] = append(byKey[r.Key], r)
	}
	for key, versions := range written {
		got := byKey[fmt.Sprintf("%X", key)]
		if len(got) != len(versions) {
			t.Errorf("DuckDB reads %d changes of %s, want %d", len(got), key, len(versions))
			continue
		}
		for i, v := range versions {
			want := duckRow{Op: "del", LSN: v.LSN, ValueSize: len(v.Value)}
			if v.Op == "put" {
				want.Op, want.ValueSHA256 = "put", fmt.Sprintf("%X", sha256.Sum256([]byte(v.Value)))
			}
			if g := got[i]; g.Op != want.Op || g.LSN != want.LSN || g.ValueSize != want.ValueSize || g.ValueSHA256 != want.ValueSHA256 {
				t.Errorf("change %d of %s: DuckDB reads %+v, written %+v", i, key, g, v)
			}
		}
	}
}
