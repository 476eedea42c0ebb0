package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

func TestViewRecord(t *testing.T) {
	rec := func(typ wal.Type, payload []byte) *wal.Record {
		return &wal.Record{LSN: 7, Time: 1_000_000, Type: typ, Tenant: 3, VShard: 2, Payload: payload}
	}
	batch := kv.Batch{Op: kv.OpBatch, Mutations: []kv.Mutation{{Key: []byte("a"), Value: []byte{0xff}}, {Key: []byte{0xfe}, Delete: true}}}
	for _, tc := range []struct {
		rec  *wal.Record
		want []string // parts of the JSON
		line string   // part of the line
	}{
		{rec(kv.TypePut, kv.AppendPut(nil, &kv.Put{Op: kv.OpIncrement, ExpireAt: 2000, Key: []byte("k"), Value: []byte("5")})),
			[]string{`"lsn":7`, `"type":"put"`, `"op":"increment"`, `"key":"k"`, `"value":"5"`, `"expires_at":"1970-01-01T00:00:02`, `"tenant":3`, `"vshard":2`},
			`"k" = 1 B "5" until 1970-01-01T00:00:02.000000Z  (increment)`},
		{rec(kv.TypePut, kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte("k")})), []string{`"value":""`}, `"k" = 0 B ""`},
		{rec(kv.TypeDelete, kv.AppendDelete(nil, &kv.Delete{Op: kv.OpDelete, Key: []byte{0xff}})), []string{`"type":"delete"`, `"key_b64":"/w=="`}, `base64:/w==`},
		{rec(kv.TypeBatch, kv.AppendBatch(nil, &batch)), []string{`"changes":[{"kind":"put","key":"a","value_b64":"/w=="},{"kind":"delete","key_b64":"/g=="}]`}, `2 keys, first: put  "a" = 1 B binary`},
		{rec(wal.TypeRestorePoint, wal.RestorePoint{Name: "here"}.Append(nil)), []string{`restore point \"here\"`}, `restore point "here"`},
		{rec(wal.TypeCheckpoint, []byte{1}), []string{`cannot be decoded`}, `cannot be decoded`},
		{rec(kv.TypePut, []byte{1, 2}), []string{`cannot be decoded`}, `cannot be decoded`},
		{rec(200|wal.RequiredBit, []byte{1, 2}), []string{`2 bytes of an engine that this program does not know`}, `does not know`},
	} {
		v := ViewRecord(tc.rec)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range tc.want {
			if !strings.Contains(string(b), w) {
				t.Errorf("no %s in %s", w, b)
			}
		}
		if !strings.Contains(v.Line(), tc.line) {
			t.Errorf("no %s in %s", tc.line, v.Line())
		}
	}
}

// One value may hold several URLs; a comma inside of one does not end it.
func TestArchiveURLs(t *testing.T) {
	var got []string
	app := &App{Name: "x", Verbs: []*Verb{{Name: "v", Flags: []ucli.Flag{ArchiveFlag()}, Run: func(c *Call) error {
		got = c.storeURLs("archive")
		return nil
	}}}}
	t.Setenv("NODEDB_ARCHIVE", "file:///a,b/c, s3://x/y?k=1,2;optional,mem://")
	if code := app.Run(t.Context(), []string{"v"}, nil, t.Output(), t.Output()); code != 0 {
		t.Fatalf("exit %d", code)
	}
	want := []string{"file:///a,b/c", "s3://x/y?k=1,2;optional", "mem://"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
