package servertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// version is one change of a key.
type version struct {
	LSN   wal.LSN `json:"lsn"`
	Op    string  `json:"op"` // put or delete
	Value string  `json:"value"`
}

// record is what a test wrote, by key.
type record map[string][]version

const recordedKeys = 12

// write changes keys, seals and archives, so that there is one segment more.
func (r record) write(t testing.TB, n *node.Node, rnd *rand.Rand) {
	t.Helper()
	for i := range 40 {
		key := fmt.Sprintf("key %d", rnd.IntN(recordedKeys))
		v := version{Op: "put", Value: fmt.Sprintf("value %d of %s %0*d", i, key, rnd.IntN(200), i)}
		var b node.Batch
		if rnd.IntN(5) == 0 {
			v = version{Op: "delete"}
			b.Delete([]byte(key))
		} else {
			b.PutExpire([]byte(key), []byte(v.Value), r.expiry(rnd))
		}
		var err error
		if v.LSN, err = n.Tenant(0).Apply(t.Context(), &b, nil); err != nil {
			t.Fatal(err)
		}
		r[key] = append(r[key], v)
	}
	archiveAll(t, n)
}

// expiry is none, or one that no test lives to see.
func (r record) expiry(rnd *rand.Rand) time.Time {
	if rnd.IntN(3) > 0 {
		return time.Time{}
	}
	return time.UnixMilli(4e12 + rnd.Int64N(1e9))
}

// indexRig is a bucket that posts its events into a queue, a node that archives
// into it, and the function.
type indexRig struct {
	url     string // of the archive
	prefix  string // in the bucket
	archive *archive.Archive
	queue   *queue
	node    *node.Node
	record  record
	rnd     *rand.Rand
}

func newIndexRig(t *testing.T) *indexRig {
	t.Helper()
	b := bucket(t)
	r := &indexRig{url: storeURL(b+"/team+a", ""), prefix: "team+a/", queue: newQueue(), record: record{}}
	hook.of(t, b, r.queue.put)
	s := open(t, r.url)
	var err error
	if r.archive, err = archive.Open(s, "n1"); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r.rnd = rand.New(rand.NewPCG(seed, 0))
	r.node = openNode(t, t.TempDir(), s)
	return r
}

// names lists objects of the node, in the directory dir.
func names(t testing.TB, a *archive.Archive, dir string) []string {
	t.Helper()
	var out []string
	for o, err := range a.Store().List(t.Context(), archive.NodePrefix(a.NodeID())+dir, "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Key)
	}
	return out
}

// segmentsTold waits until the queue has heard of all segments.
func (r *indexRig) segmentsTold(t *testing.T) []string {
	t.Helper()
	segments := names(t, r.archive, "wal/")
	var keys []string
	for _, s := range segments {
		keys = append(keys, r.prefix+s)
	}
	r.queue.await(keys)
	return segments
}

// objects are the bytes of objects, by name.
func objects(t *testing.T, a *archive.Archive, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range names(t, a, dir) {
		body, err := a.Store().ReadRange(t.Context(), name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if out[name], err = io.ReadAll(body); err != nil {
			t.Fatal(err)
		}
		_ = body.Close()
	}
	return out
}

// again makes all indexes from the segments, in a store of its own.
func again(t *testing.T, a *archive.Archive) map[string][]byte {
	t.Helper()
	s, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, data := range objects(t, a, "wal/") {
		if err := s.Create(t.Context(), name, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	copied, err := archive.Open(s, a.NodeID())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := index.CatchUp(t.Context(), copied, &index.Options{Decode: kv.Changes}, nil)
	if err != nil || len(sum.Problems) > 0 {
		t.Fatalf("index again: %+v, %v", sum, err)
	}
	return objects(t, copied, "index/")
}

// command runs a built program, and gives its output and exit code.
func command(t *testing.T, name string, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), built(t, name), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Logf("%s %v: %s", name, args, errs.String())
		return out.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), 0
}

// Law 7: the built function, on the runtime API, behind a queue that the server's
// own notifications fill, makes an index of each segment that a node archives; who
// asks the archive gets what was written. When messages come twice, in another
// order and some never, `nodedb catalog index` makes what is missing, and every
// index is the same, byte for byte, as one that is made from the segments alone.
func TestIndexFunction(t *testing.T) {
	r := newIndexRig(t)
	begun := time.Now()
	f := startFunction(t, built(t, "index"), "NODEDB_ARCHIVE="+r.url)
	for range 4 {
		r.record.write(t, r.node, r.rnd)
	}
	segments := r.segmentsTold(t)
	batches := r.queue.deliver(t, f)
	t.Logf("%d segments in %d batches, after %v", len(segments), batches, time.Since(begun))
	if got := names(t, r.archive, "index/"); len(segments) < 4 || len(got) != len(segments) {
		t.Fatalf("%d indexes of %d segments\n%s", len(got), len(segments), f.log())
	}
	r.asked(t)

	for range 8 {
		r.record.write(t, r.node, r.rnd)
	}
	segments = r.segmentsTold(t)
	lost, twice := r.queue.faults(r.rnd, func(body string) bool { return strings.Contains(body, "%2Fwal%2F") })
	r.queue.deliver(t, f)
	missing := len(segments) - len(names(t, r.archive, "index/"))
	t.Logf("%d messages lost, %d twice: %d of %d segments without an index", lost, twice, missing, len(segments))
	if missing != lost || lost == 0 || twice == 0 {
		t.Errorf("%d messages were lost, %d segments have no index\n%s", lost, missing, f.log())
	}
	if out, code := command(t, "nodedb", "catalog", "index", "--archive", r.url, "--json"); code != 0 {
		t.Fatalf("catalog index: exit code %d, %s", code, out)
	}
	want, got := again(t, r.archive), objects(t, r.archive, "index/")
	if len(got) != len(segments) || len(want) != len(got) {
		t.Fatalf("%d indexes, %d made again, of %d segments", len(got), len(want), len(segments))
	}
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s differs: %d bytes, made again %d", name, len(got[name]), len(data))
		}
	}
	r.asked(t)
	shutDown(t, r.node)
}

// asked asks the archive about what was written: by the command for a few keys,
// by DuckDB for all.
func (r *indexRig) asked(t *testing.T) {
	t.Helper()
	for _, key := range []string{"key 0", "key 1"} {
		versions := r.record[key]
		out, code := command(t, "pitr-restore", "history", "--archive", r.url, "--json", key)
		var got []version
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("history: exit code %d, %v: %s", code, err, out)
		}
		if !slices.Equal(got, versions) {
			t.Errorf("history of %s:\n%+v\nwritten:\n%+v", key, got, versions)
		}
		for _, v := range []version{versions[len(versions)/2], versions[len(versions)-1]} {
			out, code := command(t, "pitr-restore", "get", "--archive", r.url, "--at", fmt.Sprint(v.LSN), key)
			if out != v.Value || (code == 0) != (v.Op == "put") || code > 1 {
				t.Errorf("get %s --at %d: %q, exit code %d, want %+v", key, v.LSN, out, code, v)
			}
		}
	}
	sameInDuckDB(t, r.archive, r.record)
}
