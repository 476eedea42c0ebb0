package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/wal"
)

// exportDir holds the linked files of a base while it is uploaded.
const exportDir = "export"

// Backup writes a base backup to every store: the vshards' files by content, so
// that only what is new travels, and the digest of the state at the base's LSN.
// Writes go on meanwhile. One base is taken at a time.
func (n *Node) Backup(ctx context.Context) (archive.BaseInfo, error) {
	if len(n.opts.Stores) == 0 {
		return archive.BaseInfo{}, ErrNoArchive
	}
	if err := n.begin(); err != nil {
		return archive.BaseInfo{}, err
	}
	defer n.end()
	return n.backup(ctx)
}

func (n *Node) backup(ctx context.Context) (archive.BaseInfo, error) {
	n.baseMu.Lock()
	defer n.baseMu.Unlock()
	info, err := n.backupOnce(ctx)
	if err == nil {
		err = n.archiveUpTo(ctx, info.LSN)
	}
	n.bases.observe(info, n.opts.Clock(), err)
	if err != nil {
		return archive.BaseInfo{}, fmt.Errorf("base backup: %w", err)
	}
	n.writeSnapshots(ctx)
	n.logger.Info("base backup", "lsn", info.LSN, "new_bytes", info.NewBytes, "files", info.Files)
	return info, nil
}

// archiveUpTo seals the log and waits until the archive holds it up to lsn: a
// base alone is no state that can be restored, its files lie before its LSN.
func (n *Node) archiveUpTo(ctx context.Context, lsn wal.LSN) error {
	if _, _, err := n.log.Seal(ctx); err != nil {
		return fmt.Errorf("seal the log: %w", n.writeError(err))
	}
	if err := n.archiver.Wait(ctx, lsn); err != nil {
		return fmt.Errorf("the base is written, but the log up to LSN %d is not archived: %w", lsn, err)
	}
	return nil
}

// backupOnce flushes first, so that the exported files are near the cut; the
// restore replays what lies between. The cut comes after the export: its LSN is
// above everything in the files.
func (n *Node) backupOnce(ctx context.Context) (info archive.BaseInfo, err error) {
	if _, err := n.flushAll(ctx); err != nil {
		return info, err
	}
	fs, dir := n.opts.FS, n.path(exportDir)
	// Crash here: the next base, or the next open, removes the links.
	if err := fs.RemoveAll(dir); err != nil {
		return info, fmt.Errorf("remove an unfinished export: %w", err)
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, fs.RemoveAll(dir)) }()
	in := archive.BaseInput{Epoch: n.epoch}
	for _, s := range n.shards {
		if err := n.export(ctx, s, &in); err != nil {
			return info, err
		}
	}
	k, err := n.takeConsistentCut(ctx)
	if err != nil {
		return info, err
	}
	defer k.Close()
	d, err := digestCut(ctx, k)
	if err != nil {
		return info, err
	}
	in.LSN, in.Time, in.Digest, in.Entries = k.LSN, time.UnixMicro(k.Micros).UTC(), d.String(), d.Entries()
	k.Close() // the upload is long, and snapshots keep compactions from freeing space
	return n.writeBase(ctx, in)
}

// writeBase writes the base to every store. An optional store that fails is
// only reported, unless no store took the base.
func (n *Node) writeBase(ctx context.Context, in archive.BaseInput) (info archive.BaseInfo, err error) {
	var errs, optional []error
	for _, s := range n.opts.Stores {
		one, err := archive.WriteBase(ctx, s.Store, in, &archive.BaseOptions{
			Recipients: n.opts.Recipients, AllowPlain: n.opts.PlainArchive,
			Known: n.known, Parallel: n.opts.ArchiveParallel, FS: n.opts.FS, Logger: n.logger, Clock: n.opts.Clock,
		})
		switch {
		case err == nil:
			if info.LSN == 0 {
				info = one
			}
		case s.Optional:
			n.logger.Warn("base backup to an optional store", "store", s.Store.URL(), "err", err)
			optional = append(optional, fmt.Errorf("store %s: %w", s.Store.URL(), err))
		default:
			errs = append(errs, fmt.Errorf("store %s: %w", s.Store.URL(), err))
		}
	}
	if info.LSN == 0 {
		errs = append(errs, optional...) // nobody took it
	}
	return info, errors.Join(errs...)
}

func (n *Node) export(ctx context.Context, s *shard, in *archive.BaseInput) error {
	if s.state.Load() != shardServing {
		return s.failure()
	}
	dst := n.path(exportDir, strconv.Itoa(int(s.id)))
	files, err := s.v.Files(ctx, dst)
	if err != nil {
		return err
	}
	in.VShards = append(in.VShards, archive.BaseVShard{ID: s.id, Applied: files.Applied, Dir: dst, Files: files.Names})
	return nil
}
