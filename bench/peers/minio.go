package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	_ "gocloud.dev/blob/s3blob" // the store that the baseline reads

	"github.com/nodedb-go/nodedb/archive"
)

const (
	accessKey = "nodedb-bench"
	secretKey = "nodedb-bench-secret"
	// downloads go on beside each other, as many as in a restore.
	downloads = 4
)

func minioKeys() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey}
}

func minioURL(addr, prefix string) string {
	return "s3://bench/" + prefix + "?region=us-east-1&s3ForcePathStyle=true&endpoint=http://" + addr
}

// minio compares a restore with what it cannot do without: downloading the same
// objects and decompressing them, and throwing the result away.
func minio(ctx context.Context, r *rig) (err error) {
	addr, stop, err := startMinIO(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := writeRows(r.path("rows.jsonl"), r.path("rows.sql"), "", r.changes); err != nil {
		return err
	}
	for _, kv := range minioKeys() { // for the downloads in this process
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	url := minioURL(addr, "ours")
	node := func(args ...string) error {
		_, err := r.commandAs(ctx, nil, minioKeys(), r.ours("nodedb"), append(args, "--dir", r.path("node"), "--archive", url)...)
		return err
	}
	if err := node("load", r.path("rows.jsonl")); err != nil {
		return err
	}
	var sizes [2]int64
	for i, name := range []string{"restore the log", "restore a base"} {
		if i == 1 {
			if err := node("backup"); err != nil {
				return err
			}
		}
		err := r.inTurns(name, func(round int) (time.Duration, error) {
			return r.timed(ctx, minioKeys(), r.ours("pitr-restore"), "restore", "--archive", url, "--latest", "--target-dir", r.path(fmt.Sprint(i, "-out", round)))
		}, func(int) (took time.Duration, err error) {
			began := time.Now()
			sizes[i], err = downloadAll(ctx, url, i == 1)
			return time.Since(began), err
		})
		if err != nil {
			return err
		}
	}
	return r.print(row{"restore the log", "≥ 0.7×", "MB", float64(sizes[0]) / 1e6}, row{"restore a base", "≥ 0.7×", "MB", float64(sizes[1]) / 1e6})
}

// downloadAll downloads and decompresses what a restore of the newest state
// reads: the contents of the base, or the segments. It returns the bytes of
// content.
func downloadAll(ctx context.Context, url string, base bool) (int64, error) {
	store, _, err := archive.OpenStore(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	nodes, err := archive.Nodes(ctx, store)
	if err != nil || len(nodes) != 1 {
		return 0, errors.Join(err, fmt.Errorf("the archive holds %d nodes", len(nodes)))
	}
	a, err := archive.Open(store, nodes[0])
	if err != nil {
		return 0, err
	}
	var objects []archive.Object
	if base {
		err = a.Objects(ctx, func(e archive.ObjEntry) error {
			objects = append(objects, e.Object)
			return nil
		})
	} else {
		var c *archive.Catalog
		if c, err = a.Catalog(ctx); err == nil {
			for _, e := range c.Segments {
				objects = append(objects, e.Object)
			}
		}
	}
	if err != nil {
		return 0, err
	}
	var size atomic.Int64
	errs := make(chan error, len(objects))
	slots := make(chan struct{}, downloads)
	var wg sync.WaitGroup
	for _, o := range objects {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			n, err := downloadOne(ctx, store, o)
			size.Add(n)
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return size.Load(), err
}

func downloadOne(ctx context.Context, store archive.Store, o archive.Object) (n int64, err error) {
	body, err := store.ReadRange(ctx, o.Key, 0, -1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	d, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	defer d.Close()
	return io.Copy(io.Discard, d)
}

// startMinIO gives the address of an S3 server with a bucket "bench".
func startMinIO(ctx context.Context, r *rig) (addr string, stop func() error, err error) {
	tests, err := filepath.Abs("../internal/servertest")
	if err != nil {
		return "", nil, err
	}
	program, err := r.commandAs(ctx, nil, []string{"CGO_ENABLED=0"}, "go", "-C", tests, "tool", "-n", "github.com/minio/minio")
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	if err := errors.Join(l.Close(), os.MkdirAll(r.path("minio", "bench"), 0o755)); err != nil {
		return "", nil, err
	}
	stop, err = r.background([]string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off"},
		r.path("minio.log"), strings.TrimSpace(program), "server", "--quiet", "--address", addr, r.path("minio"))
	if err != nil {
		return "", nil, err
	}
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			return addr, stop, c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", nil, errors.Join(errors.New("MinIO does not answer"), stop())
}
