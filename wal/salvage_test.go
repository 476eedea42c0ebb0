package wal

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Salvage of any damage keeps exactly what is in front of it, gives no LSN twice,
// sets the rest aside, and leaves a log without damage.
func TestSalvage(t *testing.T) {
	clean, last := smallLog(t, false)
	want, _, err := readLog(t, clean)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, content := range clean {
		for i := 0; i < len(content); i += 11 {
			if i >= PreambleLen && firstOfPath(name) > last {
				break // the unused rest of the empty segment
			}
			damaged := bytes.Clone(content)
			damaged[i] ^= 0x40
			files := clean.with(name, damaged)
			if _, _, err := readLog(t, files); !errors.Is(err, ErrCorrupt) {
				continue // a version, or another node: not salvage's business
			}
			seen++
			salvageOne(t, files, want, last, name, i)
		}
	}
	if seen < 100 {
		t.Errorf("only %d damages", seen)
	}
}

func salvageOne(t *testing.T, files files, want []string, last LSN, name string, at int) {
	t.Helper()
	fs := files.fs(t)
	dry, err := Salvage("wal", &SalvageOptions{FS: fs, DryRun: true, Above: 20})
	if err != nil {
		t.Fatalf("%s, byte %d: %v", name, at, err)
	}
	report, err := Salvage("wal", &SalvageOptions{FS: fs, Rand: salts, Above: 20})
	if err != nil {
		t.Fatalf("%s, byte %d: %v", name, at, err)
	}
	set := report.SetAside
	report.SetAside = nil
	if diff := cmp.Diff(dry, report, cmp.Comparer(func(a, b error) bool { return a.Error() == b.Error() })); diff != "" {
		t.Errorf("%s, byte %d: dry run said otherwise:\n%s", name, at, diff)
	}
	if len(set) == 0 || report.LostFirst != report.Kept+1 || report.Next != 21 {
		t.Errorf("%s, byte %d: report %+v, set aside %v", name, at, report, set)
	}
	if report.LostLast != last { // the newest file's name tells
		t.Errorf("%s, byte %d: lost up to %d, want %d", name, at, report.LostLast, last)
	}
	verified := checkSegments(t, fs, "wal")
	if report.Kept < 20 && len(verified.Gaps) != min(1, len(verified.Segments)) {
		t.Errorf("%s, byte %d: declared gaps %v", name, at, verified.Gaps)
	}
	l := open(t, fs, &Options{SegmentBytes: 4 << 10, Rand: salts})
	got, err := readPayloads(l, 0)
	if err != nil || !slices.Equal(got, want[:report.Kept]) {
		t.Fatalf("%s, byte %d: kept %d, read %d, %v", name, at, report.Kept, len(got), err)
	}
	if lsn := put(t, l, "new"); lsn != 21 {
		t.Errorf("%s, byte %d: next LSN %d", name, at, lsn)
	}
	closeLog(t, l)
	after := checkSegments(t, fs, "wal")
	if n := len(after.Segments); after.Last != 21 || after.Segments[n-1].Gap != report.LostFirst {
		t.Errorf("%s, byte %d: last LSN %d, gap from %d", name, at, after.Last, after.Segments[n-1].Gap)
	}
	again, err := Salvage("wal", &SalvageOptions{FS: fs})
	if err != nil || again.Cause != nil || again.Kept != 21 {
		t.Errorf("%s, byte %d: second salvage %+v, %v", name, at, again, err)
	}
}

// A log whose newest file is torn by a crash needs no salvage, and a newer
// version is not salvage's business.
func TestSalvageLeavesAlone(t *testing.T) {
	crashed, last := smallLog(t, true)
	fs := crashed.fs(t)
	report, err := Salvage("wal", &SalvageOptions{FS: fs})
	if err != nil || report.Cause != nil || report.Kept != last {
		t.Errorf("torn log: %+v, %v", report, err)
	}
	if diff := cmp.Diff(crashed, readFiles(t, fs, nil)); diff != "" {
		t.Errorf("salvage changed a log without damage:\n%s", diff)
	}
	newer := bytes.Clone(crashed[SegmentName(1)])
	newer[8] = 9
	if _, err := Salvage("wal", &SalvageOptions{FS: crashed.with(SegmentName(1), newer).fs(t)}); !errors.Is(err, ErrVersion) {
		t.Errorf("newer version: %v", err)
	}
	if _, err := Salvage("nowhere", &SalvageOptions{FS: fs}); err == nil {
		t.Error("salvage of nothing")
	}
}

// Verify names every damage once, and the torn end of a log as what it is.
func TestVerify(t *testing.T) {
	crashed, last := smallLog(t, true)
	report, err := Verify("wal", crashed.fs(t))
	if err != nil || report.Err() != nil || report.Torn == nil || report.Torn.LSN != last+1 || report.Records != uint64(last) {
		t.Fatalf("torn log: %+v, %v", report, err)
	}
	clean, _ := smallLog(t, false)
	two := clean
	for _, name := range []string{SegmentName(1), SegmentName(5)} {
		if clean[name] == nil {
			t.Fatalf("no segment %s", name)
		}
		b := bytes.Clone(clean[name])
		b[PreambleLen+50] ^= 1
		two = two.with(name, b)
	}
	report, err = Verify("wal", two.fs(t))
	if err != nil || len(report.Damage) != 2 {
		t.Errorf("two damages: %v, %v", report.Err(), err)
	}
	if report, err = Verify("wal", clean.with(SegmentName(5), nil).fs(t)); err != nil || len(report.Damage) != 1 {
		t.Errorf("segment missing: %v, %v", report.Err(), err)
	}
}
