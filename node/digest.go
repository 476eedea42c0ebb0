package node

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// A DigestResult is the digest of the whole state at exactly LSN: the sum modulo
// 2^256 of SHA-256 over every stored entry, so it depends neither on order nor
// on the number of vshards.
type DigestResult struct {
	LSN     wal.LSN   `json:"lsn"`
	Time    time.Time `json:"time"`
	Digest  string    `json:"digest"` // 64 hex digits
	Entries uint64    `json:"entries"`
}

// Digest computes the digest at a new LSN while writes go on, and logs it, so
// that a restore to that LSN can be proven equal.
func (n *Node) Digest(ctx context.Context) (DigestResult, error) {
	if err := n.begin(); err != nil {
		return DigestResult{}, err
	}
	defer n.end()
	k, err := n.takeConsistentCut(ctx)
	if err != nil {
		return DigestResult{}, err
	}
	defer k.Close()
	d, err := digestCut(ctx, k)
	if err != nil {
		return DigestResult{}, err
	}
	if err := n.logControl(ctx, wal.TypeDigest, wal.Digest{LSN: k.LSN, Sum: d.Sum(), Entries: d.Entries()}.Append(nil)); err != nil {
		return DigestResult{}, fmt.Errorf("log the digest of LSN %d: %w", k.LSN, err)
	}
	return digestResult(k, d), nil
}

func digestResult(k *Cut, d engine.Digest) DigestResult {
	return DigestResult{LSN: k.LSN, Time: time.UnixMicro(k.Micros).UTC(), Digest: d.String(), Entries: d.Entries()}
}

func digestCut(ctx context.Context, k *Cut) (engine.Digest, error) {
	var sum engine.Digest
	for _, s := range k.Snapshots {
		d, err := s.Digest(ctx)
		if err != nil {
			return engine.Digest{}, fmt.Errorf("digest at LSN %d: %w", k.LSN, err)
		}
		sum.Merge(&d)
	}
	return sum, nil
}

// logControl appends one record of the node itself and waits until it is durable.
func (n *Node) logControl(ctx context.Context, typ wal.Type, payload []byte) error {
	_, _, err := n.appendControl(ctx, typ, payload)
	return err
}

func (n *Node) appendControl(ctx context.Context, typ wal.Type, payload []byte) (wal.LSN, int64, error) {
	var b wal.Batch
	if err := b.Add(typ, 0, wal.VShardNone, nil, payload); err != nil {
		return 0, 0, err
	}
	lsn, micros, err := n.log.AppendSync(ctx, &b)
	if err != nil {
		return 0, 0, n.writeError(err)
	}
	return lsn, micros, nil
}

// RestorePoint names the LSN that it returns: a restore to the point holds every
// write that was acknowledged before the call. A name should be used once: a
// restore to one that stands for several LSNs asks which is meant.
func (n *Node) RestorePoint(ctx context.Context, name string) (wal.LSN, time.Time, error) {
	if !validPointName(name) {
		return 0, time.Time{}, fmt.Errorf("%w: %q", ErrPointName, name)
	}
	if err := n.begin(); err != nil {
		return 0, time.Time{}, err
	}
	defer n.end()
	lsn, micros, err := n.appendControl(ctx, wal.TypeRestorePoint, wal.RestorePoint{Name: name}.Append(nil))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("log the restore point: %w", err)
	}
	return lsn, time.UnixMicro(micros).UTC(), nil
}

func validPointName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == '/' || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}
