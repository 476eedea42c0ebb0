package pitr

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"github.com/nodedb-go/nodedb/archive"
)

var smallSeq atomic.Int64

// small is an archive of two segments and a base, in few bytes.
func small(t *testing.T) (*kit, *memStore) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	k.now = k.now.Add(time.Duration(smallSeq.Add(1)) * time.Hour) // no two are equal
	l := k.begin()
	l.put("a", "1")
	l.put("b", "2")
	l.seal()
	l.base()
	l.put("a", "3")
	l.point("p")
	l.end()
	return k, mem
}

// outcome of a restore from a damaged archive: nil when it is equal to the
// model, else an error that must name the damaged object.
func outcome(t *testing.T, k *kit, mem *memStore, damaged string, target Target) error {
	t.Helper()
	c := k.over(t, mem)
	plan, err := NewPlan(t.Context(), c.archives(), target)
	if err != nil {
		return err
	}
	fs := newStageFS(t)
	res, err := Restore(t.Context(), plan, "/data/node", c.options(fs, nil))
	if err != nil {
		if _, serr := fs.Stat("/data/node"); serr == nil {
			t.Errorf("%s: target is there after %v", damaged, err)
		}
		return err
	}
	c.compare(target, res)
	if res.Reached.LSN != 4 {
		t.Errorf("%s: reached %v without a complaint", damaged, res.Reached)
	}
	return nil
}

// Every byte of every object of a small archive is flipped, one at a time. Each
// flip is found, and the object named, or it is harmless and the restored state
// is proven equal; never anything else. Law 14.
//
// Restores of the whole archive are done for a share of the flips; for the rest,
// what reads the object in a restore is called by itself.
func TestFlipEveryByte(t *testing.T) {
	k, mem := small(t)
	for _, key := range mem.keys("") {
		if strings.HasSuffix(key, "/format.json") {
			continue // does not take part in a restore
		}
		t.Run(strings.TrimPrefix(key, archive.NodePrefix(kitNode)), func(t *testing.T) {
			found, harmless := 0, 0
			size := len(mem.objects[key])
			for at := range size {
				hurt := mem.clone()
				hurt.change(key, func(b []byte) []byte {
					b[at] ^= 1 << (at % 8)
					return b
				})
				alone := readAlone(t, k, hurt, key)
				checkNames(t, alone, key, at)
				if alone != nil {
					found++
				}
				if alone != nil && at%(size/24+1) != 0 {
					continue
				}
				err := outcome(t, k, hurt, fmt.Sprintf("byte %d", at), Target{LSN: 4})
				checkNames(t, err, key, at)
				if alone == nil {
					harmless++
				}
			}
			t.Logf("%d bytes: %d flips found, %d harmless and proven equal", size, found, harmless)
			if found == 0 {
				t.Error("no flip was found")
			}
		})
	}
}

// readAlone reads one object as a restore would. Objects that a restore can do
// without (a base, when the segments reach back) report what the plan says.
func readAlone(t *testing.T, k *kit, hurt *memStore, key string) error {
	c := k.over(t, hurt)
	path := strings.TrimPrefix(key, archive.NodePrefix(kitNode))
	src, err := listAll(t.Context(), c.archives(), archive.SnapshotIgnored)
	if err != nil {
		return err
	}
	switch parsed, _ := archive.ParseKey(path); p := parsed.(type) {
	case archive.SegmentKey:
		o := c.options(vfs.NewMem(), nil).withDefaults()
		d := &decoder{nodeID: kitNode, vshards: kitVShards, workers: 1, budget: newBudget(1 << 20), known: o.knownType}
		_, err := src.segment(t.Context(), o, d, 0, PlanSegment{Key: path, From: p.First, To: p.Last, Stores: []int{0}}, &meter{})
		return err
	case archive.BaseKey:
		_, err := archive.ReadBase(t.Context(), hurt, kitNode, p)
		return err
	case archive.ObjKey:
		m, err := src.manifest(t.Context(), &base{key: onlyBase(t, hurt), stores: []int{0}})
		if err != nil {
			return err
		}
		one := *m
		one.VShards = nil
		for _, v := range m.VShards {
			kept := v
			kept.Files = nil
			for _, f := range v.Files {
				if k, _ := f.Object(); k == p {
					kept.Files = append(kept.Files, f)
				}
			}
			one.VShards = append(one.VShards, kept)
		}
		return archive.FetchBase(t.Context(), hurt, &one, "out", &archive.FetchOptions{FS: vfs.NewMem()})
	case archive.EpochKey:
		_, err := archive.ReadEpoch(t.Context(), hurt, kitNode, p.Epoch)
		return err
	}
	return errors.New("unexpected object " + path)
}

func onlyBase(t *testing.T, mem *memStore) string {
	keys := mem.keys("base/")
	if len(keys) != 1 {
		t.Fatalf("bases: %q", keys)
	}
	return strings.TrimPrefix(keys[0], archive.NodePrefix(kitNode))
}

// checkNames: damage that is reported names its object, as damage.
func checkNames(t *testing.T, err error, key string, at int) {
	t.Helper()
	if err == nil {
		return
	}
	if !names(err, key) {
		t.Fatalf("byte %d: the error does not name the object: %v", at, err)
	}
	if code := ExitCode(err); code != ExitCorrupt && code != ExitError {
		t.Fatalf("byte %d: exit code %d: %v", at, code, err)
	}
}

func names(err error, key string) bool {
	path := strings.TrimPrefix(key, archive.NodePrefix(kitNode))
	return strings.Contains(err.Error(), path)
}

// Damage of whole objects.
func TestDamage(t *testing.T) {
	zeros := func(n int) []byte {
		var out bytes.Buffer
		e, err := zstd.NewWriter(&out)
		check(t, err)
		_, err = e.Write(make([]byte, n))
		check(t, err)
		check(t, e.Close())
		return out.Bytes()
	}
	bomb := zeros(256 << 20)
	first := func(m *memStore) string { return m.keys("wal/")[0] }
	second := func(m *memStore) string { return m.keys("wal/")[1] }
	noBase := func(m *memStore) {
		for _, key := range m.keys("base/") {
			delete(m.objects, key)
		}
	}
	tests := []struct {
		name string
		hurt func(m *memStore) (key string)
		exit int
	}{
		{"truncated", func(m *memStore) string {
			m.change(second(m), func(b []byte) []byte { return b[:len(b)/2] })
			return second(m)
		}, ExitCorrupt},
		{"cut by a byte", func(m *memStore) string {
			m.change(second(m), func(b []byte) []byte { return b[:len(b)-1] })
			return second(m)
		}, ExitCorrupt},
		{"empty", func(m *memStore) string {
			m.change(second(m), func([]byte) []byte { return nil })
			return second(m)
		}, ExitCorrupt},
		{"bytes behind the end", func(m *memStore) string {
			m.change(second(m), func(b []byte) []byte { return append(b, "more"...) })
			return second(m)
		}, ExitCorrupt},
		{"two in one", func(m *memStore) string {
			m.change(second(m), func(b []byte) []byte { return append(b, b...) })
			return second(m)
		}, ExitCorrupt},
		{"swapped", func(m *memStore) string {
			noBase(m)
			a, b := first(m), second(m)
			m.objects[a], m.objects[b] = m.objects[b], m.objects[a]
			return b
		}, ExitCorrupt},
		{"something else", func(m *memStore) string {
			m.change(second(m), func([]byte) []byte { return []byte("<html>Sign in to the proxy</html>") })
			return second(m)
		}, ExitCorrupt},
		{"a bomb of zeros", func(m *memStore) string {
			m.change(second(m), func([]byte) []byte { return bomb })
			return second(m)
		}, ExitCorrupt},
		{"a bomb behind a good start", func(m *memStore) string {
			m.change(second(m), func(b []byte) []byte { return append(b, bomb...) })
			return second(m)
		}, ExitCorrupt},
		{"content of a base is a bomb, and no other way", func(m *memStore) string {
			key := m.keys("obj/")[0]
			m.change(key, func([]byte) []byte { return bomb })
			delete(m.objects, first(m))
			return key
		}, ExitCorrupt},
		{"content of a base is missing, and no other way", func(m *memStore) string {
			key := m.keys("obj/")[0]
			delete(m.objects, key)
			delete(m.objects, first(m))
			return key
		}, ExitError},
		{"content of a base is missing, and LSN 1 is there", func(m *memStore) string {
			delete(m.objects, m.keys("obj/")[0])
			return ""
		}, ExitDone},
		{"manifest of a base is damaged, and LSN 1 is there", func(m *memStore) string {
			m.change(m.keys("base/")[0], func(b []byte) []byte { return b[:len(b)/2] })
			return ""
		}, ExitDone},
		{"whole, under the name of another hash", func(m *memStore) string {
			key := second(m)
			_, parsed, err := archive.ParseFull(key)
			check(t, err)
			other := parsed.(archive.SegmentKey)
			other.SHA16[0] ^= 1
			wrong := archive.Join(kitNode, other)
			m.objects[wrong] = m.objects[key]
			delete(m.objects, key)
			return wrong
		}, ExitCorrupt},
		{"missing end", func(m *memStore) string {
			delete(m.objects, second(m))
			return ""
		}, ExitOutOfWindow},
		{"missing start", func(m *memStore) string {
			noBase(m)
			delete(m.objects, first(m))
			return ""
		}, ExitOutOfWindow},
		{"substituted by a whole segment of another history", func(m *memStore) string {
			noBase(m)
			delete(m.objects, second(m))
			_, other := small(t)
			m.objects[second(other)] = other.objects[second(other)]
			return second(other)
		}, ExitCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, mem := small(t)
			key := tt.hurt(mem)
			err := outcome(t, k, mem, tt.name, Target{LSN: 4})
			if ExitCode(err) != tt.exit {
				t.Fatalf("exit code %d for %v, want %d", ExitCode(err), err, tt.exit)
			}
			if key != "" && !names(err, key) {
				t.Errorf("the error does not name %s: %v", key, err)
			}
		})
	}
}
