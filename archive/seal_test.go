package archive_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// text is n bytes that compress about as well as a WAL does.
func text(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"key":"user:%08d","value":"%x","n":%d}`, rnd.IntN(1e8), rnd.Uint64(), b.Len())
	}
	return b.Bytes()[:n]
}

func seal(t testing.TB, data []byte) ([]byte, archive.SealInfo) {
	t.Helper()
	var out bytes.Buffer
	info, err := archive.Seal(&out, bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return out.Bytes(), info
}

func unsealAll(r io.Reader) ([]byte, error) {
	u, err := archive.Unseal(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(u)
	return data, errors.Join(err, u.Close())
}

func TestSealRoundTrip(t *testing.T) {
	zstdPath, _ := exec.LookPath("zstd")
	for _, n := range []int{0, 1, 100, 4095, 4096, 4097, 8192, 8193, 1 << 20, 1<<20 + 4096, 1<<20 + 4097, 3<<20 - 1, 5<<20 + 77} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			data := text(uint64(n), n)
			sealed, info := seal(t, data)
			want := archive.SealInfo{Bytes: int64(n), SHA256: sha256.Sum256(data), SealedBytes: int64(len(sealed)), SealedMD5: md5.Sum(sealed)}
			if info != want {
				t.Errorf("SealInfo = %+v, want %+v", info, want)
			}
			got, err := unsealAll(iotest.HalfReader(bytes.NewReader(sealed)))
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("Unseal: %d bytes, %v; want %d", len(got), err, n)
			}
			dec, err := zstd.NewReader(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			if got, err := dec.DecodeAll(sealed, nil); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("DecodeAll: %d bytes, %v; want %d", len(got), err, n)
			}
			if zstdPath != "" {
				wantZstd(t, zstdPath, sealed, data)
			}
		})
	}
}

// wantZstd holds the promise that needs no program of ours: `zstd -d` gives
// the segment back, byte for byte.
func wantZstd(t *testing.T, zstdPath string, sealed, want []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "segment.wal.zst")
	if err := os.WriteFile(path, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := exec.CommandContext(t.Context(), zstdPath, "-d", "-c", path).Output()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("zstd -d: %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestSealErrors(t *testing.T) {
	errSrc, errDst := errors.New("bad source"), errors.New("bad destination")
	data := text(1, 6<<20)
	for _, n := range []int{0, 100, 4096, 2 << 20} {
		src := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(errSrc))
		if _, err := archive.Seal(io.Discard, src); !errors.Is(err, errSrc) {
			t.Errorf("source fails at %d: got %v", n, err)
		}
		if _, err := archive.Seal(&fullWriter{left: n / 8, err: errDst}, bytes.NewReader(data)); !errors.Is(err, errDst) {
			t.Errorf("destination fails at %d: got %v", n/8, err)
		}
	}
}

type fullWriter struct {
	left int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, w.err
	}
	w.left -= len(p)
	return len(p), nil
}

// Every cut and every flipped bit of a sealed object is found; nothing that
// is damaged comes out as if it were whole.
func TestUnsealDamage(t *testing.T) {
	data := text(2, 9_000)
	sealed, _ := seal(t, data)
	check := func(what string, b []byte) {
		t.Helper()
		got, err := unsealAll(bytes.NewReader(b))
		var oe *archive.ObjectError
		if err == nil && bytes.Equal(got, data) {
			return // the damage is in a field that does not matter
		}
		if !errors.As(err, &oe) || !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%s: %d bytes, error %v; want an ObjectError", what, len(got), err)
		}
		if !bytes.HasPrefix(data, got) {
			t.Errorf("%s: wrong bytes came out", what)
		}
		readDamaged(t, what, b, data)
	}
	for n := range len(sealed) {
		if _, err := unsealAll(bytes.NewReader(sealed[:n])); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", n, len(sealed))
		}
		check(fmt.Sprintf("cut to %d", n), sealed[:n])
		b := bytes.Clone(sealed)
		b[n] ^= 1 << (n % 8)
		check(fmt.Sprintf("bit flipped in byte %d", n), b)
	}
}

// readDamaged: ranged reads give the right bytes or an error.
func readDamaged(t *testing.T, what string, b, data []byte) {
	t.Helper()
	s, err := archive.OpenSealed(bytes.NewReader(b), int64(len(b)), "name")
	if err != nil {
		if !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%s: OpenSealed: %v", what, err)
		}
		return
	}
	got := make([]byte, 100)
	for _, off := range []int64{0, 4_500, int64(len(data)) - 100} {
		_, err := s.ReadAt(got, off)
		if err == nil && s.Size() == int64(len(data)) && !bytes.Equal(got, data[off:off+100]) {
			t.Errorf("%s: ReadAt(%d) gave wrong bytes", what, off)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%s: ReadAt(%d): %v", what, off, err)
		}
	}
}

// A source's own error is not damage.
func TestUnsealSourceError(t *testing.T) {
	sealed, _ := seal(t, text(3, 3<<20))
	errSrc := &archive.StoreError{Class: archive.ErrUnreachable}
	_, err := unsealAll(io.MultiReader(bytes.NewReader(sealed[:len(sealed)/2]), iotest.ErrReader(errSrc)))
	if !errors.Is(err, archive.ErrUnreachable) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("got %v, want unreachable and not damage", err)
	}
}

// countingStore counts the requests and the bytes of reads.
type countingStore struct {
	archive.Store
	reads int
	bytes int64
}

func (s *countingStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.reads++
	s.bytes += n
	return s.Store.ReadRange(ctx, key, off, n)
}

func TestOpenSealedObject(t *testing.T) {
	data := text(4, 5<<20+999)
	sealed, _ := seal(t, data)
	s := &countingStore{Store: openFile(t)}
	if err := s.Create(t.Context(), "seg", bytes.NewReader(sealed), int64(len(sealed))); err != nil {
		t.Fatal(err)
	}
	r, err := archive.OpenSealedObject(t.Context(), s, "seg", int64(len(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(data)) {
		t.Errorf("Size = %d, want %d", r.Size(), len(data))
	}
	end := make([]byte, 1000)
	if _, err := r.ReadAt(end, r.Size()-1000); err != nil || !bytes.Equal(end, data[len(data)-1000:]) {
		t.Errorf("tail differs, %v", err)
	}
	if s.reads != 1 {
		t.Errorf("the tail took %d requests, want 1", s.reads)
	}
	if _, err := r.ReadAt(end[:256], 0); err != nil || !bytes.Equal(end[:256], data[:256]) {
		t.Errorf("head differs, %v", err)
	}
	if s.reads != 2 || s.bytes > 24<<10 {
		t.Errorf("head and tail took %d requests and %d bytes, want 2 and at most 24 KiB", s.reads, s.bytes)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		off := rnd.Int64N(r.Size())
		buf := make([]byte, rnd.IntN(3<<20))
		n, err := r.ReadAt(buf, off)
		want := data[off:min(off+int64(len(buf)), int64(len(data)))]
		if (err != nil && !errors.Is(err, io.EOF)) || !bytes.Equal(buf[:n], want) {
			t.Fatalf("ReadAt(%d bytes at %d) = %d bytes, %v", len(buf), off, n, err)
		}
	}
	f := archivetest.NewFaulty(s, archivetest.Always(archivetest.Fail))
	if _, err := archive.OpenSealedObject(t.Context(), f, "seg", int64(len(sealed))); !errors.Is(err, archive.ErrUnreachable) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("unreachable store: got %v", err)
	}
}

func FuzzUnseal(f *testing.F) {
	for _, n := range []int{0, 10, 5000, 2 << 20} {
		sealed, _ := seal(f, text(5, n))
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, err := archive.Unseal(bytes.NewReader(b)); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(u, 64<<20))
			_ = u.Close()
		}
		s, err := archive.OpenSealed(bytes.NewReader(b), int64(len(b)), "x")
		if err != nil {
			return
		}
		buf := make([]byte, 512)
		_, _ = s.ReadAt(buf, 0)
		_, _ = s.ReadAt(buf, max(0, s.Size()-512))
	})
}

func BenchmarkSeal(b *testing.B) {
	data := text(6, 64<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := archive.Seal(io.Discard, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnseal(b *testing.B) {
	data := text(6, 64<<20)
	sealed, _ := seal(b, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		u, err := archive.Unseal(bytes.NewReader(sealed))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, u); err != nil {
			b.Fatal(err)
		}
		_ = u.Close()
	}
}
