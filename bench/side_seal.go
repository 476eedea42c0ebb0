package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// sealSide makes objects of one segment, over and over, for nowhere.
type sealSide struct {
	path  string
	bytes int64
	to    func(dst io.Writer, src io.Reader) error
}

// open writes a log of the bench's keys and values and takes its largest
// segment. Option "mib": the size of a segment.
func (s *sealSide) open(dir string, options map[string]string) (err error) {
	var mib int
	if _, err := fmt.Sscan(options["mib"], &mib); err != nil {
		return fmt.Errorf("option mib: %w", err)
	}
	log, err := wal.Open(dir, &wal.Options{SegmentAge: -1, SegmentBytes: int64(mib) << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := log.Start(1, 1); err != nil {
		return err
	}
	var record [keyBytes + valueBytes]byte
	rng := rand.New(rand.NewPCG(1, 1))
	var batch wal.Batch
	for size := 0; size < 2*mib<<20; {
		batch.Reset()
		for range 1000 {
			i := rng.Uint64N(1_000_000)
			mixKey(record[:keyBytes], i)
			copy(record[keyBytes:], valueOf(i))
			if err := batch.Add(wal.TypeNoop, 0, wal.VShardNone, nil, record[:]); err != nil {
				return err
			}
			size += len(record)
		}
		if _, _, err := log.AppendSync(context.Background(), &batch); err != nil {
			return err
		}
	}
	for _, seg := range log.Segments() {
		if seg.Sealed && seg.Bytes > s.bytes {
			s.path, s.bytes = seg.Path, seg.Bytes
		}
	}
	return nil
}

func (s *sealSide) close() error { return nil }

func (s *sealSide) seal() (content, stored int64, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return 0, 0, err
	}
	var n countWriter
	err = s.to(&n, io.LimitReader(f, s.bytes))
	return s.bytes, int64(n), errors.Join(err, f.Close())
}

type countWriter int64

func (c *countWriter) Write(p []byte) (int, error) {
	*c += countWriter(len(p))
	return len(p), nil
}

// pipelineSide is what an archiver does to a segment: SHA-256 of the content,
// compressed in independent frames, encrypted, MD5 and SHA-256 of the result.
type pipelineSide struct{ sealSide }

func (s *pipelineSide) open(dir string, options map[string]string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	to, err := archive.ParseRecipients(id.Recipient().String())
	if err != nil {
		return err
	}
	s.to = func(dst io.Writer, src io.Reader) error {
		_, err := archive.SealFor(io.MultiWriter(dst, sha256.New()), src, to)
		return err
	}
	return s.sealSide.open(dir, options)
}

// zstdSide is the compressor alone, as a stream. Option "cores": 1 or "all".
type zstdSide struct{ sealSide }

func (s *zstdSide) open(dir string, options map[string]string) error {
	cores := 1
	if options["cores"] == "all" {
		cores = runtime.GOMAXPROCS(0)
	}
	s.to = func(dst io.Writer, src io.Reader) error {
		w, err := zstd.NewWriter(dst, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(cores))
		if err != nil {
			return err
		}
		_, err = io.Copy(w, src)
		return errors.Join(err, w.Close())
	}
	return s.sealSide.open(dir, options)
}

// runSeals counts MiB of content as operations. The last one of a client may end
// after the slice.
func runSeals(s sealer, l load) (sample, error) {
	var content, stored atomic.Int64
	sam, err := l.run(func(int, *rand.Rand) (int, error) {
		in, out, err := s.seal()
		content.Add(in)
		stored.Add(out)
		return int(in >> 20), err
	})
	sam.Content, sam.Stored = content.Load(), stored.Load()
	return sam, err
}
