package pitr

import (
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

func TestVerify(t *testing.T) {
	k, mem := small(t)
	report, err := Verify(t.Context(), k.arch, nil)
	check(t, err)
	if !report.OK() || report.Segments != 2 || report.Bases != 1 || report.Records != 4 || report.Unused != 0 {
		t.Errorf("whole archive: %+v", report)
	}
	for _, key := range mem.keys("") {
		if key == k.arch.Key(archive.FormatKey{}) {
			continue
		}
		hurt := mem.clone()
		hurt.change(key, func(b []byte) []byte {
			for i := range b {
				b[i] ^= 0x10
			}
			return b
		})
		report, err := Verify(t.Context(), k.over(t, hurt).arch, nil)
		check(t, err)
		found := false
		for _, p := range report.Problems {
			found = found || p.Key == key
		}
		if !found {
			t.Errorf("damage in %s is not reported: %+v", key, report.Problems)
		}
	}
}

// What is wrong between objects: a hole, a missing content, a broken chain, a
// content that nothing names.
func TestVerifyBetween(t *testing.T) {
	k, mem := small(t)
	_, other := small(t)
	for name, hurt := range map[string]func(m *memStore){
		"missing content": func(m *memStore) { delete(m.objects, m.keys("obj/")[0]) },
		"broken chain": func(m *memStore) {
			delete(m.objects, m.keys("wal/")[1])
			m.objects[other.keys("wal/")[1]] = other.objects[other.keys("wal/")[1]]
		},
		"two writers": func(m *memStore) { m.objects[other.keys("wal/")[1]] = other.objects[other.keys("wal/")[1]] },
	} {
		m := mem.clone()
		hurt(m)
		report, err := Verify(t.Context(), k.over(t, m).arch, nil)
		check(t, err)
		// Of two writers' segments the first by name counts, and may break the
		// chain besides.
		if n := len(report.Problems); n != 1 && (name != "two writers" || n != 2) {
			t.Errorf("%s: %d problems: %+v", name, len(report.Problems), report.Problems)
		}
	}
	m := mem.clone()
	for _, key := range m.keys("base/") {
		delete(m.objects, key)
	}
	report, err := Verify(t.Context(), k.over(t, m).arch, nil)
	check(t, err)
	if !report.OK() || report.Unused != len(m.keys("obj/")) {
		t.Errorf("contents without a manifest: %+v", report)
	}
}

// A store that does not answer is not a damaged archive.
func TestVerifyUnreachable(t *testing.T) {
	k, mem := small(t)
	for n := range 6 {
		faulty := archivetest.NewFaulty(mem, func(_ archivetest.Op, _ string, call int) archivetest.Fault {
			if call >= n {
				return archivetest.Fail
			}
			return archivetest.None
		})
		_, err := Verify(t.Context(), k.over(t, faulty).arch, nil)
		if ExitCode(err) != ExitUnreachable {
			t.Errorf("store fails from call %d: got %v", n, err)
		}
	}
}
