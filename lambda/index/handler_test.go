package index_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

const (
	nodeID = "n1"
	prefix = "team a/"
	bucket = "b"
)

// fixture is an archive with sealed segments, and their full keys.
type fixture struct {
	store archive.Store
	keys  []string // without prefix
	sizes map[string]int64
}

// newFixture writes n segments as an archiver does. The same n gives the same.
func newFixture(t testing.TB, n int) *fixture {
	t.Helper()
	s, _, err := archive.OpenStore(context.Background(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f := &fixture{store: s, sizes: map[string]int64{}}
	fsys := vfs.NewMem()
	l, err := wal.Open("wal", &wal.Options{FS: fsys, NodeID: nodeID, SegmentAge: -1, Rand: zeroes{},
		Clock: func() time.Time { return time.Unix(1e9, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(1, 1); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var b wal.Batch
		put := &kv.Put{Op: kv.OpPut, Key: fmt.Appendf(nil, "k%d", i%3), Value: bytes.Repeat([]byte{'v'}, i)}
		if err := b.Add(kv.TypePut, 0, 0, nil, kv.AppendPut(nil, put)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.AppendSync(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		seg, ok, err := l.Seal(context.Background())
		if err != nil || !ok {
			t.Fatalf("seal: %v, %v", ok, err)
		}
		f.add(t, fsys, seg)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) add(t testing.TB, fsys vfs.FS, seg wal.Segment) {
	t.Helper()
	file, err := fsys.Open(seg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var sealed bytes.Buffer
	if _, err := archive.Seal(&sealed, io.LimitReader(file, seg.Bytes)); err != nil {
		t.Fatal(err)
	}
	f.create(t, archive.Join(nodeID, archive.SegmentKey{Timeline: seg.Timeline, First: seg.First, Last: seg.Last,
		Epoch: seg.Epoch, SHA16: archive.Short(seg.SHA256)}), sealed.Bytes())
}

func (f *fixture) create(t testing.TB, key string, data []byte) {
	t.Helper()
	if err := f.store.Create(context.Background(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	f.keys = append(f.keys, key)
	f.sizes[key] = int64(len(data))
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// indexes are all index objects, by key.
func (f *fixture) indexes(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for o, err := range f.store.List(context.Background(), archive.NodePrefix(nodeID)+"index/", "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.store.ReadRange(context.Background(), o.Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		out[o.Key] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	return out
}

// record is one record of S3's message, with the key as S3 escapes it.
func record(key string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(prefix+key), "%2F", "/")
	return fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
		"s3":{"bucket":{"name":%q},"object":{"key":%q,"size":1,"eTag":"x"}}}`, bucket, escaped)
}

func s3Body(keys ...string) string {
	var records []string
	for _, k := range keys {
		records = append(records, record(k))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

const testEvent = `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2024-01-01T00:00:00.000Z","Bucket":"b"}`

func batch(bodies ...string) events.SQSEvent {
	var b events.SQSEvent
	for i, body := range bodies {
		b.Records = append(b.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), Body: body})
	}
	return b
}

// invoke gives the failed messages and the metrics.
func invoke(t testing.TB, h index.Handler, b events.SQSEvent) ([]string, map[string]any) {
	t.Helper()
	var metrics bytes.Buffer
	h.Metrics, h.Bucket, h.Prefix = &metrics, bucket, prefix
	out, err := h.Handle(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	var doc map[string]any
	if err := json.Unmarshal(metrics.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return failed, doc
}

func wantCounts(t testing.TB, got map[string]any, want map[string]int) {
	t.Helper()
	for _, name := range []string{"Indexed", "Existed", "Encrypted", "Gone", "Foreign", "Other", "Tests", "Poison", "Failed"} {
		if n := int(got[name].(float64)); n != want[name] {
			t.Errorf("metric %s is %d, want %d", name, n, want[name])
		}
	}
}

// Law 7: whatever order events come in, twice, in messages of any size, by S3 or
// by EventBridge, the indexes are the same.
func TestSameIndexes(t *testing.T) {
	const n = 8
	straight := newFixture(t, n)
	for _, key := range straight.keys {
		if failed, _ := invoke(t, index.Handler{Store: straight.store}, batch(s3Body(key))); len(failed) > 0 {
			t.Fatalf("failed: %v", failed)
		}
	}
	want := straight.indexes(t)
	if len(want) != n {
		t.Fatalf("%d indexes", len(want))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	f := newFixture(t, n)
	twice := append(append([]string{}, f.keys...), f.keys...)
	rnd.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
	var bodies []string
	for len(twice) > 0 {
		take := min(len(twice), 1+rnd.IntN(4))
		bodies = append(bodies, s3Body(twice[:take]...))
		twice = twice[take:]
	}
	bodies = append(bodies, fmt.Sprintf(`{"version":"0","detail-type":"Object Created","source":"aws.s3",
		"detail":{"bucket":{"name":"b"},"object":{"key":%q,"size":1}}}`, prefix+f.keys[0]))
	failed, counts := invoke(t, index.Handler{Store: f.store}, batch(bodies...))
	if len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	wantCounts(t, counts, map[string]int{"Indexed": n, "Existed": n + 1})
	if diff := cmp.Diff(want, f.indexes(t)); diff != "" {
		t.Errorf("indexes (-in order +shuffled and twice):\n%s", diff)
	}
}

// A poison message fails alone, with its reason; what is not ours is left alone.
func TestMessagesFailAlone(t *testing.T) {
	f := newFixture(t, 2)
	broken := archive.Join(nodeID, archive.SegmentKey{Timeline: 1, First: 90, Last: 99, Epoch: 1})
	f.create(t, broken, []byte("no segment"))
	gone := archive.Join(nodeID, archive.SegmentKey{Timeline: 1, First: 80, Last: 89, Epoch: 1})
	secret := archive.Join(nodeID, archive.SegmentKey{Timeline: 1, First: 70, Last: 79, Epoch: 1,
		Age: archive.Age{Recipients: archive.RecipientsID{1}}})
	removed := strings.Replace(s3Body(f.keys[0]), "ObjectCreated:Put", "ObjectRemoved:Delete", 1)
	elsewhere := strings.Replace(s3Body(f.keys[0]), `"name":"b"`, `"name":"other"`, 1)
	b := batch(s3Body(f.keys[0]), "{", s3Body(broken), testEvent, s3Body("else.txt"), elsewhere,
		`{"Records":[]}`, removed, s3Body(archive.Join(nodeID, archive.FormatKey{})), s3Body(gone), s3Body(secret),
		`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"object":{"key":"%zz"}}}]}`, s3Body(f.keys[1]))
	wants := map[string]int{"Indexed": 2, "Foreign": 2, "Other": 2, "Tests": 1, "Poison": 4, "Gone": 1, "Encrypted": 1, "Failed": 4}

	var log bytes.Buffer
	failed, counts := invoke(t, index.Handler{Store: f.store, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, b)
	if diff := cmp.Diff([]string{"m1", "m2", "m6", "m11"}, failed); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
	wantCounts(t, counts, wants)
	if n := len(f.indexes(t)); n != 2 {
		t.Errorf("%d indexes", n)
	}
	for _, reason := range []string{"is damaged", "no event of a store", "cannot be unescaped"} {
		if !strings.Contains(log.String(), reason) {
			t.Errorf("the log does not say %q:\n%s", reason, log.String())
		}
	}

	dead := map[string]string{}
	take := func(_ context.Context, m *events.SQSMessage, reason string) error {
		if m.MessageId == "m6" {
			return errors.New("dead queue is down")
		}
		dead[m.MessageId] = reason
		return nil
	}
	failed, _ = invoke(t, index.Handler{Store: f.store, Dead: take}, b)
	if diff := cmp.Diff([]string{"m6"}, failed); diff != "" || len(dead) != 3 || !strings.Contains(dead["m2"], broken) {
		t.Errorf("with a dead queue: given back %v, dead %v", failed, dead)
	}
}

// refusing is a store that does not answer for one key.
type refusing struct {
	archive.Store
	key   string
	class error
}

func (s *refusing) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key == s.key {
		return nil, &archive.StoreError{Op: "read", Store: "mem", Key: key, Class: s.class}
	}
	return s.Store.ReadRange(ctx, key, off, n)
}

// Trouble that may pass gives a message back, and is not poison, also when
// something in the same message is; a conflict of two writers is such trouble.
func TestPassingTrouble(t *testing.T) {
	f := newFixture(t, 2)
	for _, class := range []error{archive.ErrUnreachable, archive.ErrThrottled, archive.ErrDenied} {
		s := &refusing{f.store, f.keys[0], class}
		never := func(_ context.Context, m *events.SQSMessage, _ string) error {
			t.Errorf("%v: %s is called dead", class, m.MessageId)
			return nil
		}
		failed, counts := invoke(t, index.Handler{Store: s, Dead: never}, batch(s3Body(f.keys[0], f.keys[1])))
		if diff := cmp.Diff([]string{"m0"}, failed); diff != "" {
			t.Errorf("%v (-want +got):\n%s", class, diff)
		}
		if counts["Poison"].(float64) != 0 || len(f.indexes(t)) != 1 {
			t.Errorf("%v: %v, %d indexes", class, counts, len(f.indexes(t)))
		}
	}
	if failed, _ := invoke(t, index.Handler{Store: &refusing{f.store, f.keys[0], archive.ErrCold}}, batch(s3Body(f.keys[0]))); len(failed) != 1 {
		t.Error("a segment in cold storage is not told")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h := index.Handler{Store: f.store, Bucket: bucket, Prefix: prefix}
	out, err := h.Handle(ctx, batch(s3Body(f.keys[0])))
	if err != nil || len(out.BatchItemFailures) != 1 {
		t.Errorf("out of time: %v, %v", out, err)
	}
}

// The line is what CloudWatch makes metrics of.
func TestMetrics(t *testing.T) {
	f := newFixture(t, 1)
	_, doc := invoke(t, index.Handler{Store: f.store, Archive: "b/some/prefix"}, batch(testEvent))
	aws := doc["_aws"].(map[string]any)
	directive := aws["CloudWatchMetrics"].([]any)[0].(map[string]any)
	if directive["Namespace"] != "nodedb" || doc["Function"] != "index" || doc["Archive"] != "b/some/prefix" || aws["Timestamp"].(float64) <= 0 {
		t.Errorf("%v", doc)
	}
	for _, m := range directive["Metrics"].([]any) {
		if _, ok := doc[m.(map[string]any)["Name"].(string)].(float64); !ok {
			t.Errorf("metric %v has no value", m)
		}
	}
}

func TestConfigure(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	if _, err := index.Configure(t.Context(), get, io.Discard); err == nil || !strings.Contains(err.Error(), "NODEDB_ARCHIVE") {
		t.Errorf("without an archive: %v", err)
	}
	env["NODEDB_ARCHIVE"] = "mem://x/some/prefix"
	env["NODEDB_REVEAL_ENCRYPTED"] = "true"
	h, err := index.Configure(t.Context(), get, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Store.Close() }()
	if !h.RevealEncrypted || h.Bucket != "x" || h.Prefix != "some/prefix/" || h.Archive != "x/some/prefix" {
		t.Errorf("bucket %q, prefix %q, archive %q, reveal %v", h.Bucket, h.Prefix, h.Archive, h.RevealEncrypted)
	}
}

// A message may be anything: it is answered, never with a panic, and what it names
// is asked for only below the archive's prefix.
func FuzzMessage(f *testing.F) {
	f.Add(testEvent)
	f.Add(s3Body("nodedb/v1/n1/wal/00000001/x"))
	f.Add(s3Body(archive.Join(nodeID, archive.SegmentKey{Timeline: 1, First: 1, Last: 2, Epoch: 1})))
	f.Add(`{"source":"aws.s3","detail-type":"Object Created","detail":{"object":{"key":"../x"}}}`)
	f.Add(`{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"object":{"key":"%"}}},null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, _, err := archive.OpenStore(context.Background(), "mem://")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		h := index.Handler{Store: s, Prefix: prefix}
		out, err := h.Handle(context.Background(), batch(text, testEvent))
		if err != nil || len(out.BatchItemFailures) > 1 || len(out.BatchItemFailures) == 1 && out.BatchItemFailures[0].ItemIdentifier != "m0" {
			t.Fatalf("%+v, %v", out, err)
		}
	})
}
