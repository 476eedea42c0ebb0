package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// files is a log's directory in memory: name to content.
type files map[string][]byte

func (f files) fs(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("wal", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range f {
		if err := writeWhole(fs, fs.PathJoin("wal", name), bytes.Clone(content)); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// with returns a copy in which one file is replaced, or removed when content is
// nil.
func (f files) with(name string, content []byte) files {
	c := files{}
	for n, b := range f {
		c[n] = b
	}
	if c[name] = content; content == nil {
		delete(c, name)
	}
	return c
}

// smallLog is a log of several segments, each cut to its logical length. With
// crash it ends as a crash after the last group commit leaves it, else with
// Close. It returns the last LSN.
func smallLog(t testing.TB, crash bool) (files, LSN) {
	t.Helper()
	fs := vfs.NewMem()
	l, err := Open("wal", &Options{FS: fs, SegmentBytes: 4 << 10, Rand: salts, NodeID: "n1", SegmentAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		var b Batch
		for j := range 1 + i%2 {
			if err := b.Add(64|RequiredBit, 1, 2, []byte("key"), fmt.Appendf(nil, "%0*d", 3+7*j, i)); err != nil {
				t.Fatal(err)
			}
		}
		if i == 4 {
			if err := b.Add(TypeRestorePoint, 0, VShardNone, nil, RestorePoint{"before"}.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := l.AppendSync(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if i == 2 || i == 5 {
			if _, ok, err := l.Seal(t.Context()); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
	}
	last := l.Durable()
	segments := l.Segments()
	f := files{}
	if crash {
		f = readFiles(t, fs, segments)
	}
	closeLog(t, l)
	if !crash {
		f = readFiles(t, fs, nil)
		for _, s := range segments[:len(segments)-1] {
			name := fs.PathBase(s.Path)
			f[name] = f[name][:s.Bytes]
		}
		report, err := Verify("wal", fs)
		if err != nil || report.Err() != nil {
			t.Fatal(err, report.Err())
		}
		for _, s := range report.Segments {
			name := fs.PathBase(s.Path)
			f[name] = f[name][:s.Bytes]
		}
	}
	return f, last
}

// readFiles reads the segments of a directory, cut to the lengths given.
func readFiles(t testing.TB, fs *vfs.MemFS, segments []Segment) files {
	t.Helper()
	f := files{}
	firsts, err := segmentNames(fs, "wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range firsts {
		b, err := fs.UnsafeGetFileDataBuffer(fs.PathJoin("wal", SegmentName(first)))
		if err != nil {
			t.Fatal(err)
		}
		f[SegmentName(first)] = bytes.Clone(b)
	}
	for _, s := range segments {
		name := fs.PathBase(s.Path)
		f[name] = f[name][:s.Bytes]
	}
	return f
}

// readLog opens the files as a log and reads all of it.
func readLog(t testing.TB, f files) (payloads []string, last LSN, err error) {
	t.Helper()
	l, err := Open("wal", &Options{FS: f.fs(t), SegmentBytes: 4 << 10, Rand: salts, NodeID: "n1", SegmentAge: -1})
	if err != nil {
		return nil, 0, err
	}
	payloads, err = readPayloads(l, 1)
	last = l.Appended()
	if cerr := l.Close(); cerr != nil {
		t.Fatal(cerr)
	}
	return payloads, last, err
}

func isClear(err error) bool {
	var c *CorruptError
	var m *MagicError
	var v *VersionError
	var n *NodeIDError
	switch {
	case errors.As(err, &c):
		return c.Path != "" && (c.FirstLSN != 0 || firstOfPath(c.Path) == 0) && c.Reason != ""
	case errors.As(err, &m):
		return m.Path != ""
	case errors.As(err, &v):
		return v.Path != "" && v.What != ""
	}
	return errors.As(err, &n)
}

// Law 11: after a clean close any flipped byte is found.
func TestFlipEveryByteAfterClose(t *testing.T) {
	clean, last := smallLog(t, false)
	want, gotLast, err := readLog(t, clean)
	if err != nil || gotLast != last || LSN(len(want)) != last {
		t.Fatalf("clean log: %d of %d records, %v", len(want), last, err)
	}
	flips := 0
	for name, content := range clean {
		if len(content) > 256 && bytes.Equal(content[256:], make([]byte, len(content)-256)) {
			content = content[:256] // the empty segment at the end
		}
		for i := range content {
			damaged := bytes.Clone(clean[name])
			damaged[i] ^= 1 << (i % 8)
			if _, _, err := readLog(t, clean.with(name, damaged)); !isClear(err) {
				t.Fatalf("%s: flip of bit %d at %d: %v", name, i%8, i, err)
			}
			flips++
		}
	}
	t.Logf("%d flips in %d files", flips, len(clean))
}

// Law 11: in a log that was not closed a flipped byte is found, or it is at the
// end of the last segment, where it looks as a crash does, and what is in front
// of it is all there.
func TestFlipEveryByteAfterCrash(t *testing.T) {
	crashed, last := smallLog(t, true)
	want, _, err := readLog(t, crashed)
	if err != nil || LSN(len(want)) != last {
		t.Fatalf("crashed log: %d of %d records, %v", len(want), last, err)
	}
	newest, lastGroup := newestOf(t, crashed)
	found, torn := 0, 0
	for name, content := range crashed {
		for i := range content {
			damaged := bytes.Clone(content)
			damaged[i] ^= 0x10
			got, gotLast, err := readLog(t, crashed.with(name, damaged))
			switch {
			case isClear(err):
				found++
			case err != nil:
				t.Fatalf("%s: flip at %d: %v", name, i, err)
			case name != newest || i < lastGroup:
				t.Fatalf("%s: flip at %d was not found; %d of %d records", name, i, len(got), len(want))
			case LSN(len(got)) != gotLast || !cmp.Equal(got, want[:len(got)]) || len(got) == len(want):
				t.Fatalf("%s: flip at %d: %d records up to %d are no prefix of %d", name, i, len(got), gotLast, len(want))
			default:
				torn++
			}
		}
	}
	t.Logf("%d found, %d torn", found, torn)
	if torn == 0 || found == 0 {
		t.Error("one of the two never happened")
	}
}

// newestOf returns the last segment that holds records and the offset of its
// last frame.
func newestOf(t testing.TB, f files) (name string, lastFrame int) {
	t.Helper()
	for n := range f {
		name = max(name, n)
	}
	r := NewSegmentReader(bytes.NewReader(f[name]), name)
	for r.nextFrame() == nil {
		lastFrame = int(r.frameT)
	}
	if lastFrame == 0 {
		t.Fatalf("%s holds no frame", name)
	}
	return name, lastFrame
}

// Law 11: a file that is cut anywhere is found, or it is the last one and what
// remains is a prefix.
func TestCutAtEveryLength(t *testing.T) {
	for _, crash := range []bool{false, true} {
		whole, last := smallLog(t, crash)
		want, _, err := readLog(t, whole)
		if err != nil || LSN(len(want)) != last {
			t.Fatal(len(want), last, err)
		}
		var newest string
		for name := range whole {
			newest = max(newest, name)
		}
		for name, content := range whole {
			for n := range content {
				got, gotLast, err := readLog(t, whole.with(name, append([]byte{}, content[:n]...)))
				switch {
				case isClear(err):
				case err != nil:
					t.Fatalf("crash %v: %s cut at %d: %v", crash, name, n, err)
				case name != newest:
					t.Fatalf("crash %v: %s cut at %d of %d was not found", crash, name, n, len(content))
				case LSN(len(got)) != gotLast || !cmp.Equal(got, want[:len(got)]):
					t.Fatalf("crash %v: %s cut at %d: no prefix", crash, name, n)
				case !crash && gotLast != last:
					t.Fatalf("%s cut at %d: lost records of a closed log", name, n)
				}
			}
		}
	}
}

// TestDamage is the table of what may be wrong, each with its own error.
func TestDamage(t *testing.T) {
	clean, last := smallLog(t, false)
	crashed, _ := smallLog(t, true)
	c := slices.Sorted(maps.Keys(clean))
	newest, _ := newestOf(t, crashed)
	patch := func(b []byte, at int, with ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], with)
		return b
	}
	resum := func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[preambleCRCAt:], crc32.Checksum(b[:preambleCRCAt], castagnoli))
		return b
	}
	tests := []struct {
		name  string
		files files
		is    error
		text  string // part of the message; or
		last  LSN    // the last LSN recovered
	}{
		{name: "clean", files: clean, last: last},
		{name: "bad magic", files: clean.with(c[0], patch(clean[c[0]], 0, 'X')), is: ErrMagic, text: "offset 0, LSN 1"},
		{name: "newer version", files: clean.with(c[0], patch(clean[c[0]], 8, 2)), is: ErrVersion, text: "version 2"},
		{name: "newer version whose checksum is elsewhere", files: clean.with(c[0], patch(clean[c[0]], 8, 9, 9)), is: ErrVersion, text: "version 2313"},
		{name: "preamble flag", files: clean.with(c[0], resum(patch(clean[c[0]], 10, 4))), is: ErrVersion, text: "preamble flags 0x4"},
		{name: "preamble checksum", files: clean.with(c[0], patch(clean[c[0]], 200, 1)), is: ErrCorrupt, text: "preamble checksum"},
		{name: "first LSN differs from name", files: files{SegmentName(2): clean[c[0]]}, is: ErrCorrupt, text: "differs from the file's name"},
		{name: "another node", files: clean.with(c[0], resum(patch(clean[c[0]], 97, '2'))), is: ErrNodeID, text: `"n2"`},
		{name: "another history", files: clean.with(c[1], resum(patch(clean[c[1]], 64, 1, 2, 3))), is: ErrCorrupt, text: "SHA-256"},
		{name: "segment missing", files: clean.with(c[1], nil), is: ErrCorrupt, text: "missing"},
		{name: "segment twice", files: clean.with(SegmentName(3), resum(patch(clean[c[0]], 32, 3))), is: ErrCorrupt},
		{name: "empty file in the middle", files: clean.with(c[1], []byte{}), is: ErrMagic},
		{name: "zeroes in the middle", files: clean.with(c[1], make([]byte, 4096)), is: ErrMagic},
		{name: "footer missing in the middle", files: clean.with(c[1], clean[c[1]][:len(clean[c[1]])-8]), is: ErrCorrupt},
		{name: "zeroed newest", files: clean.with(c[len(c)-1], make([]byte, 4096)), last: last},
		{name: "newest of length zero", files: clean.with(c[len(c)-1], []byte{}), last: last},
		{name: "newest missing", files: clean.with(c[len(c)-1], nil), last: last},
		{name: "newest cut in the preamble", files: clean.with(c[len(c)-1], clean[c[len(c)-1]][:100]), is: ErrCorrupt, text: "preamble cut off"},
		{name: "zeroed newest that skips", files: clean.with(c[len(c)-1], nil).with(SegmentName(last+5), make([]byte, 300)), is: ErrCorrupt, text: "missing"},
		{name: "rubbish behind the end", files: crashed.with(newest, append(bytes.Clone(crashed[newest]), bytes.Repeat([]byte("rubbish!"), 99)...)), last: last},
		{name: "the last frame again behind the end", files: crashed.with(newest, again(t, crashed, newest)), last: last},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, gotLast, err := readLog(t, test.files)
			if test.is == nil {
				if err != nil || gotLast != test.last {
					t.Fatalf("last LSN %d, %v; want %d", gotLast, err, test.last)
				}
				return
			}
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) || !isClear(err) {
				t.Errorf("error %v, want %v with %q", err, test.is, test.text)
			}
			if errors.Is(test.is, ErrVersion) && errors.Is(err, ErrCorrupt) {
				t.Errorf("a newer version is called damage: %v", err)
			}
		})
	}
}

// again appends a copy of the last frame: its checksum holds only where it was.
func again(t testing.TB, f files, name string) []byte {
	_, at := newestOf(t, f)
	return append(bytes.Clone(f[name]), f[name][at:]...)
}
