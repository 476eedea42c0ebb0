package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// baseRig is a checkpoint of three vshards, and a store.
type baseRig struct {
	t     *testing.T
	fs    *vfs.MemFS
	files map[string][]byte // path below vshard/ → content
	in    archive.BaseInput
	rec   *recorder
	store *archivetest.Faulty
	opts  archive.BaseOptions
}

func newBaseRig(t *testing.T) *baseRig {
	t.Helper()
	r := &baseRig{t: t, fs: vfs.NewMem(), files: make(map[string][]byte), rec: newRecorder(t)}
	r.store = archivetest.NewFaulty(r.rec, nil)
	epoch := mustClaim(t, one(r.rec), archive.Claim{NodeID: nodeID, Dir: "a", FS: r.fs})
	r.in = archive.BaseInput{Epoch: epoch, LSN: 100, Time: time.Unix(1000, 0), Entries: 7, Digest: strings.Repeat("ab", 32)}
	r.opts = archive.BaseOptions{FS: r.fs, Known: archive.NewKnownObjects()}
	for id := range uint16(3) {
		dir := fmt.Sprintf("checkpoint/%04x", id)
		if err := r.fs.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r.in.VShards = append(r.in.VShards, archive.BaseVShard{ID: id, Applied: 90, Dir: dir})
		r.write(id, "MANIFEST-000001", []byte("same in every vshard"))
		r.write(id, "empty", nil)
		r.write(id, "000004.sst", random(uint64(id), 3000))
	}
	r.write(2, "000007.sst", random(9, 100_000))
	return r
}

func random(seed uint64, n int) []byte {
	rnd, out := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range out {
		out[i] = byte(rnd.Uint32()) & 0x3f
	}
	return out
}

func (r *baseRig) write(id uint16, name string, data []byte) {
	path := fmt.Sprintf("%04x/%s", id, name)
	writeLocal(r.t, r.fs, "checkpoint/"+path, data)
	r.files[path] = data
}

func (r *baseRig) must() archive.BaseInfo {
	r.t.Helper()
	info, err := archive.WriteBase(r.t.Context(), r.store, r.in, &r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return info
}

// fetch restores a base and compares every file.
func (r *baseRig) fetch(k archive.BaseKey, fs vfs.FS) {
	r.t.Helper()
	m, err := archive.ReadBase(r.t.Context(), r.rec, nodeID, k)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := archive.FetchBase(r.t.Context(), r.rec, m, "out", &archive.FetchOptions{FS: fs}); err != nil {
		r.t.Fatal(err)
	}
	r.compare(fs)
}

func (r *baseRig) compare(fs vfs.FS) {
	r.t.Helper()
	n := 0
	for id := range uint16(3) {
		names, err := fs.List(archive.VShardDir(fs, "out", id))
		if err != nil {
			r.t.Fatal(err)
		}
		n += len(names)
	}
	if n != len(r.files) {
		r.t.Errorf("%d files, want %d", n, len(r.files))
	}
	for path, want := range r.files {
		if got := readLocal(r.t, fs, "out/vshard/"+path, 1<<30); !bytes.Equal(got, want) {
			r.t.Errorf("%s differs: %d bytes, want %d", path, len(got), len(want))
		}
	}
}

func TestBaseRoundTrip(t *testing.T) {
	r := newBaseRig(t)
	r.write(2, "000007.sst", random(9, 2_500_000)) // several frames, several chunks
	var last archive.BaseProgress
	r.opts.Parallel = 1
	r.opts.Progress = func(p archive.BaseProgress) { last = p }
	info := r.must()
	// MANIFEST and empty are stored once each, the SSTs differ.
	if info.NewObjects != 6 || info.Files != len(r.files) || last.Files != last.FilesTotal || last.Bytes != last.BytesTotal {
		t.Errorf("info %+v, progress %+v", info, last)
	}
	if keys := r.rec.created(""); !strings.HasSuffix(keys[len(keys)-1], "/manifest.json") {
		t.Errorf("Law 7: the manifest is not last: %v", keys)
	}
	r.fetch(info.Key, vfs.NewMem())
	got, err := archive.ListBases(t.Context(), r.rec, nodeID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]archive.BaseKey{info.Key}, got); diff != "" {
		t.Error(diff)
	}
	m, err := archive.ReadBase(t.Context(), r.rec, nodeID, info.Key)
	if err != nil || m.LSN != 100 || m.Digest != r.in.Digest || m.Entries != 7 || m.VShards[1].Applied != 90 {
		t.Errorf("manifest %+v, %v", m, err)
	}
}

// Only what is new travels, with a warm cache and with a cold one; a warm
// cache does not even open the SSTs.
func TestBaseIsIncremental(t *testing.T) {
	for _, warm := range []bool{true, false} {
		r := newBaseRig(t)
		r.must()
		r.write(0, "000009.sst", random(77, 5000))
		r.in.LSN = 200
		opened := 0
		r.opts.FS = errorfs.Wrap(r.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpOpen && strings.HasSuffix(op.Path, ".sst") {
				opened++
			}
			return nil
		}))
		r.opts.Parallel = 1
		wantOpened := 1
		if !warm {
			r.opts.Known, wantOpened = nil, 5
		}
		info := r.must()
		if info.NewObjects != 1 || opened != wantOpened {
			t.Errorf("warm %v: %d new objects, %d SSTs opened, want 1 and %d", warm, info.NewObjects, opened, wantOpened)
		}
		r.fetch(info.Key, vfs.NewMem())
	}
}

// A base that dies at any request does not exist, or exists whole; the next
// one sends only what is missing and overwrites nothing (law 7).
func TestBaseDiesAnywhere(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.Fail, archivetest.LostAck, archivetest.FalseAck, archivetest.Hang} {
		for n := 0; ; n++ {
			r := newBaseRig(t)
			r.opts.Parallel = 1
			ctx, cancel := context.WithCancel(t.Context())
			r.store.SetPlan(func(_ archivetest.Op, _ string, call int) archivetest.Fault {
				if call != n {
					return archivetest.None
				}
				if fault == archivetest.Hang {
					cancel()
				}
				return fault
			})
			_, err := archive.WriteBase(ctx, r.store, r.in, &r.opts)
			cancel()
			keys, lerr := archive.ListBases(t.Context(), r.rec, nodeID)
			if lerr != nil {
				t.Fatal(lerr)
			}
			if err == nil && len(keys) == 0 && fault != archivetest.FalseAck {
				t.Errorf("%v at %d: success without a base", fault, n)
			}
			for _, k := range keys {
				r.fetch(k, vfs.NewMem())
			}
			if r.store.Calls() <= n {
				break
			}
			r.store.SetPlan(archivetest.Healthy)
			r.fetch(r.must().Key, vfs.NewMem())
		}
	}
}

// Law 8: a fenced writer makes no base.
func TestFencedBase(t *testing.T) {
	r := newBaseRig(t)
	mustClaim(t, one(r.rec), archive.Claim{NodeID: nodeID, Dir: "other", FS: r.fs})
	_, err := archive.WriteBase(t.Context(), r.store, r.in, &r.opts)
	if !errors.Is(err, archive.ErrFenced) {
		t.Errorf("WriteBase = %v", err)
	}
	if keys, _ := archive.ListBases(t.Context(), r.rec, nodeID); len(keys) != 0 {
		t.Errorf("bases %v", keys)
	}
}

// An object under the right hash with wrong bytes is never referred to.
func TestBaseMeetsDamagedObject(t *testing.T) {
	r := newBaseRig(t)
	sum := sha256.Sum256(r.files["0001/000004.sst"])
	k := archive.Join(nodeID, archive.ObjKey{SHA256: sum, Zstd: true})
	if err := r.rec.Create(t.Context(), k, strings.NewReader("not it"), 6); err != nil {
		t.Fatal(err)
	}
	_, err := archive.WriteBase(t.Context(), r.store, r.in, &r.opts)
	if !errors.Is(err, archive.ErrCorrupt) || !strings.Contains(err.Error(), k) {
		t.Errorf("WriteBase = %v, want damage of %s", err, k)
	}
}

// A fetch that dies at any request goes on where it was.
func TestFetchResumes(t *testing.T) {
	r := newBaseRig(t)
	info := r.must()
	m, err := archive.ReadBase(t.Context(), r.rec, nodeID, info.Key)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(r.files) {
		fs, calls := vfs.NewMem(), 0
		store := archivetest.NewFaulty(r.rec, func(_ archivetest.Op, _ string, call int) archivetest.Fault {
			if calls++; call == n {
				return archivetest.Fail
			}
			return archivetest.None
		})
		o := &archive.FetchOptions{FS: fs, Parallel: 1}
		if err := archive.FetchBase(t.Context(), store, m, "out", o); !errors.Is(err, archive.ErrUnreachable) {
			t.Fatalf("fault at %d: %v", n, err)
		}
		calls = 0
		if err := archive.FetchBase(t.Context(), store, m, "out", o); err != nil {
			t.Fatal(err)
		}
		if calls != len(r.files)-n {
			t.Errorf("resumed after %d files with %d requests, want %d", n, calls, len(r.files)-n)
		}
		r.compare(fs)
	}
	// A file that was there and is wrong is fetched again.
	fs := vfs.NewMem()
	r.fetch(info.Key, fs)
	writeLocal(t, fs, "out/vshard/0002/000007.sst", random(55, 100_000))
	r.fetch(info.Key, fs)
}

// Every damage of an object is found: a flipped bit or a cut anywhere.
func TestFetchFindsDamage(t *testing.T) {
	for _, fault := range []archivetest.Fault{archivetest.Flipped, archivetest.Truncated} {
		r := newBaseRig(t)
		m, err := archive.ReadBase(t.Context(), r.rec, nodeID, r.must().Key)
		if err != nil {
			t.Fatal(err)
		}
		r.store.SetPlan(archivetest.Always(fault, archivetest.OpRead))
		fs := vfs.NewMem()
		err = archive.FetchBase(t.Context(), r.store, m, "out", &archive.FetchOptions{FS: fs})
		if !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%v: %v, want damage", fault, err)
		}
		for id := range uint16(3) {
			names, err := fs.List(archive.VShardDir(fs, "out", id))
			if err == nil && len(names) > 0 && names[0] != "empty" {
				t.Errorf("%v: left %v", fault, names)
			}
		}
	}
}

// A manifest decides where a restore writes, so it is believed in nothing.
func TestHostileManifest(t *testing.T) {
	r := newBaseRig(t)
	info := r.must()
	good := content(t, r.rec, archive.Join(nodeID, info.Key))
	tests := map[string]func(m map[string]any, file map[string]any){
		"path traversal":    func(_, f map[string]any) { f["name"] = "../../etc/passwd" },
		"absolute path":     func(_, f map[string]any) { f["name"] = "/etc/passwd" },
		"dot dot":           func(_, f map[string]any) { f["name"] = ".." },
		"hidden":            func(_, f map[string]any) { f["name"] = ".x" },
		"backslash":         func(_, f map[string]any) { f["name"] = `a\b` },
		"empty name":        func(_, f map[string]any) { f["name"] = "" },
		"long name":         func(_, f map[string]any) { f["name"] = strings.Repeat("a", 500) },
		"duplicate":         func(_, f map[string]any) { f["name"] = "MANIFEST-000001" },
		"negative size":     func(_, f map[string]any) { f["bytes"] = -1 },
		"huge size":         func(_, f map[string]any) { f["bytes"] = int64(1) << 60 },
		"bad hash":          func(_, f map[string]any) { f["sha256"] = "abc" },
		"upper-case hash":   func(_, f map[string]any) { f["sha256"] = strings.ToUpper(f["sha256"].(string)) },
		"applied above cut": func(m, _ map[string]any) { m["vshards"].([]any)[0].(map[string]any)["applied"] = 101 },
		"vshard twice":      func(m, _ map[string]any) { m["vshards"].([]any)[1].(map[string]any)["id"] = 0 },
		"no vshards":        func(m, _ map[string]any) { m["vshards"] = []any{} },
		"other node":        func(m, _ map[string]any) { m["node_id"] = "n2" },
		"other LSN":         func(m, _ map[string]any) { m["lsn"] = 101 },
		"no version":        func(m, _ map[string]any) { delete(m, "version") },
		"version 0":         func(m, _ map[string]any) { m["version"] = 0 },
	}
	read := func(t *testing.T, change func(m, f map[string]any)) error {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		files := m["vshards"].([]any)[0].(map[string]any)["files"].([]any)
		change(m, files[0].(map[string]any))
		delete(m, "crc32c") // would find every change before its meaning is looked at
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		rec := newRecorder(t)
		if err := rec.Create(t.Context(), archive.Join(nodeID, info.Key), bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
		_, err = archive.ReadBase(t.Context(), rec, nodeID, info.Key)
		return err
	}
	if err := read(t, func(_, _ map[string]any) {}); err != nil {
		t.Fatalf("unchanged manifest: %v", err)
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if err := read(t, change); !errors.Is(err, archive.ErrCorrupt) {
				t.Errorf("ReadBase = %v", err)
			}
		})
	}
	err := read(t, func(m, _ map[string]any) { m["version"] = 3 })
	if !errors.Is(err, archive.ErrVersion) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("newer version: %v", err)
	}
}

// Sizes that lie are found while fetching, without writing more than one byte
// too much.
func TestManifestSizeLies(t *testing.T) {
	r := newBaseRig(t)
	for _, delta := range []int64{-1, 1} {
		m, err := archive.ReadBase(t.Context(), r.rec, nodeID, r.must().Key)
		if err != nil {
			t.Fatal(err)
		}
		m.VShards[2].Files[1].Bytes += delta
		err = archive.FetchBase(t.Context(), r.rec, m, "out", &archive.FetchOptions{FS: vfs.NewMem()})
		if !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("size off by %d: %v", delta, err)
		}
	}
}

// An object that holds other content of the same length, well compressed, is
// found by its hash only.
func TestFetchFindsSwappedObject(t *testing.T) {
	r := newBaseRig(t)
	other := random(1234, 3000)
	var sealed bytes.Buffer
	if _, err := archive.Seal(&sealed, bytes.NewReader(other)); err != nil {
		t.Fatal(err)
	}
	m, err := archive.ReadBase(t.Context(), r.rec, nodeID, r.must().Key)
	if err != nil {
		t.Fatal(err)
	}
	// The same archive in another store, with one object swapped.
	swapped := newRecorder(t)
	k, err := m.VShards[0].Files[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range r.rec.created("/obj/") {
		data := content(t, r.rec, key)
		if key == archive.Join(nodeID, k) {
			data = sealed.Bytes()
		}
		if err := swapped.Create(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	err = archive.FetchBase(t.Context(), swapped, m, "out", &archive.FetchOptions{FS: vfs.NewMem()})
	if !errors.Is(err, archive.ErrCorrupt) || !strings.Contains(err.Error(), k.String()) {
		t.Errorf("FetchBase = %v, want damage of %s", err, k)
	}
}

// An object that was swept away after the base began is missed before the
// manifest is written, and sent by the next try.
func TestBaseMissesSweptObject(t *testing.T) {
	r := newBaseRig(t)
	first := r.must()
	m, err := archive.ReadBase(t.Context(), r.rec, nodeID, first.Key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := m.VShards[0].Files[0].Object() // an SST: known, so it is not even opened
	if err != nil {
		t.Fatal(err)
	}
	swept := false
	r.store.SetPlan(func(op archivetest.Op, key string, _ int) archivetest.Fault {
		if op == archivetest.OpCreate && !swept && strings.Contains(key, "/obj/") { // the listing was before this
			swept = true
			if err := r.rec.Store.Delete(t.Context(), archive.Join(nodeID, k)); err != nil {
				t.Error(err)
			}
			r.rec.forget(archive.Join(nodeID, k))
		}
		return archivetest.None
	})
	r.write(0, "000009.sst", random(77, 500))
	r.in.LSN = 200
	if _, err := archive.WriteBase(t.Context(), r.store, r.in, &r.opts); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("WriteBase = %v, want that %s is missed", err, k)
	}
	r.fetch(r.must().Key, vfs.NewMem())
}
