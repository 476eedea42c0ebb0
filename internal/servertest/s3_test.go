package servertest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	_ "gocloud.dev/blob/s3blob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// server is shared by all tests; each works in a bucket of its own.
var server *Server

// tempDir is there until all tests have ended.
var tempDir string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nodedb-servertest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tempDir = dir
	ctx := context.Background()
	path, err := Build(ctx)
	if err == nil {
		hook, err = startHooks()
	}
	if err == nil {
		defer func() { _ = hook.server.Close() }()
		server, err = Start(ctx, path, dir, hook.env()...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
	} {
		if err := os.Setenv(k, v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func client(t testing.TB) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(server.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var buckets atomic.Int64

// bucket makes a fresh one.
func bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", buckets.Add(1))
	if err := client(t).MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

func storeURL(bucket, params string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s%s", bucket, url.QueryEscape(server.Endpoint), params)
}

func open(t testing.TB, rawURL string) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// smallParts makes every object above 5 MiB travel in parts.
const smallParts = "&multipart_bytes=5242880"

func TestS3(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store {
		return open(t, storeURL(bucket(t), ""))
	})
}

func TestS3PrefixAndParts(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store {
		return open(t, storeURL(bucket(t)+"/some/prefix", smallParts))
	})
}

// The portable writer is what stores other than S3 use; here it meets a
// server that can refuse.
func TestPortableWriter(t *testing.T) {
	archivetest.Run(t, func(t *testing.T) archive.Store {
		return portable(t, bucket(t))
	})
}

// Law 7 for parts: of many uploads in parts, one completes; and neither the
// losers nor a cancelled upload leave parts behind, which cost money unseen.
func TestPartsRace(t *testing.T) {
	b := bucket(t)
	s := open(t, storeURL(b, smallParts))
	const writers, size = 6, 11 << 20
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			errs[i] = s.Create(t.Context(), "race", bytes.NewReader(bytes.Repeat([]byte{byte('a' + i)}, size)), size)
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("writers %d and %d both created the object", winner, i)
		case !errors.Is(err, archive.ErrExists) && !errors.Is(err, archive.ErrThrottled):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody won: %v", errors.Join(errs...))
	}
	wantByte(t, s, "race", byte('a'+winner), size)
	ctx, cancel := context.WithCancel(t.Context())
	body := readerAtFunc(func(p []byte, off int64) (int, error) {
		if off >= 6<<20 {
			cancel()
		}
		return len(p), nil
	})
	if err := s.Create(ctx, "cancelled", body, size); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Create: %v", err)
	}
	for u := range client(t).ListIncompleteUploads(t.Context(), b, "", true) {
		t.Errorf("parts were left behind: %s %s (%v)", u.Key, u.UploadID, u.Err)
	}
}

type readerAtFunc func([]byte, int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func wantByte(t *testing.T, s archive.Store, key string, b byte, size int) {
	t.Helper()
	r, err := s.ReadRange(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if len(data) != size || bytes.Count(data, []byte{b}) != size {
		t.Errorf("%s: %d bytes, want %d times %q", key, len(data), size, b)
	}
}

// A verified upload needs no download where the server reports the MD5.
func TestMD5(t *testing.T) {
	s := open(t, storeURL(bucket(t), ""))
	data := []byte("some content")
	if err := s.Create(t.Context(), "x", bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	o, err := s.Stat(t.Context(), "x")
	if want := md5.Sum(data); err != nil || !bytes.Equal(o.MD5, want[:]) {
		t.Errorf("Stat: MD5 %x, %v; want %x", o.MD5, err, want)
	}
}

// everyMethod calls each method on a store that cannot do what is asked.
func everyMethod(ctx context.Context, s archive.Store) map[string]error {
	errs := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, f := range map[string]func() error{
		"Create":    func() error { return s.Create(ctx, "k", strings.NewReader("x"), 1) },
		"ReadRange": func() error { r, err := s.ReadRange(ctx, "k", 0, 1); _ = r; return err },
		"Stat":      func() error { _, err := s.Stat(ctx, "k"); return err },
		"Delete":    func() error { return s.Delete(ctx, "k") },
		"List": func() error {
			for _, err := range s.List(ctx, "", "") {
				return err
			}
			return nil
		},
	} {
		wg.Go(func() {
			err := f()
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	wg.Wait()
	return errs
}

// A missing bucket, wrong credentials and a dead server are three different
// things, and none of them means that an object is absent.
func TestClasses(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(t *testing.T) archive.Store
		want error
	}{
		{"no bucket", func(t *testing.T) archive.Store { return open(t, storeURL("no-such-bucket", "")) }, archive.ErrNoStore},
		{"wrong secret", func(t *testing.T) archive.Store {
			t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
			return open(t, storeURL(bucket(t), ""))
		}, archive.ErrDenied},
		{"dead server", func(t *testing.T) archive.Store {
			return open(t, "s3://bucket?endpoint=http://127.0.0.1:1")
		}, archive.ErrUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			for method, err := range everyMethod(t.Context(), c.open(t)) {
				if !errors.Is(err, c.want) || errors.Is(err, archive.ErrNotFound) {
					t.Errorf("%s: got %v, want %v", method, err, c.want)
				}
			}
		})
	}
}

// What was acknowledged survives a crash of the server, and while it is down
// nothing is called absent.
func TestServerCrash(t *testing.T) {
	s := open(t, storeURL(bucket(t), ""))
	if err := s.Create(t.Context(), "kept", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for method, err := range everyMethod(t.Context(), s) {
		if !errors.Is(err, archive.ErrUnreachable) {
			t.Errorf("%s while the server is down: %v", method, err)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantByte(t, s, "kept", 'x', 1)
}

// Law 13: eight uploads of 64 MiB side by side cost no more memory than their
// buffers, on the single-request path and in parts.
func TestUploadMemory(t *testing.T) {
	const uploads, size, heapMax = 8, 64 << 20, 64 << 20
	body := readerAtFunc(func(p []byte, _ int64) (int, error) { return len(p), nil })
	for name, params := range map[string]string{"single": "", "parts": smallParts} {
		t.Run(name, func(t *testing.T) {
			s := open(t, storeURL(bucket(t), params))
			runtime.GC()
			before, peak := heap(), atomic.Uint64{}
			sample := readerAtFunc(func(p []byte, off int64) (int, error) {
				if now := heap(); now > peak.Load() {
					peak.Store(now)
				}
				return body(p, off)
			})
			var wg sync.WaitGroup
			for i := range uploads {
				wg.Go(func() {
					if err := s.Create(t.Context(), fmt.Sprint(i), sample, size); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			grown := max(peak.Load(), before) - before
			t.Logf("heap grew by %d KiB", grown>>10)
			if grown > heapMax {
				t.Errorf("heap grew by %d MiB, want at most %d", grown>>20, heapMax>>20)
			}
		})
	}
}

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
