package pitr

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// anyDigestRecord is the source of a digest that was met during the replay.
const anyDigestRecord = "a digest record"

// prove reads the whole state, adds up its digest and holds it against
// everything that was published about exactly this LSN.
func (r *restore) prove(ctx context.Context, rp *replayer) error {
	sum, err := r.digest(ctx)
	if err != nil {
		return err
	}
	r.result.Digest, r.result.Entries, r.result.ProvenBy = sum.String(), sum.Entries(), []string{}
	published := append([]PlanDigest(nil), r.plan.Digests...)
	for _, d := range append(rp.digests, r.readProof(ctx, rp)...) {
		published = append(published, PlanDigest{Sum: hex.EncodeToString(d.Sum[:]), Entries: d.Entries, Source: anyDigestRecord})
	}
	for _, p := range published {
		if p.Sum != r.result.Digest || p.Entries != r.result.Entries {
			return &DigestError{LSN: r.plan.Reached.LSN, Got: r.result.Digest, GotEntries: r.result.Entries,
				Want: p.Sum, WantEntries: p.Entries, Source: p.Source}
		}
		r.result.ProvenBy = append(r.result.ProvenBy, p.Source)
	}
	return nil
}

func (r *restore) digest(ctx context.Context) (*engine.Digest, error) {
	parts := make([]engine.Digest, len(r.vshards))
	err := parallel(ctx, r.opts.Workers, len(r.vshards), func(ctx context.Context, i int) error {
		snap, err := r.vshards[i].Snapshot()
		if err != nil {
			return fmt.Errorf("read restored vshard: %w", err)
		}
		parts[i], err = snap.Digest(ctx)
		if cerr := snap.Close(); err == nil {
			err = cerr
		}
		if err == nil && snap.Applied() != r.plan.Reached.LSN {
			err = fmt.Errorf("pitr: vshard %04x ended at LSN %d, not at %d", i, uint64(snap.Applied()), uint64(r.plan.Reached.LSN))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("digest of restored state: %w", err)
	}
	var sum engine.Digest
	for i := range parts {
		sum.Merge(&parts[i])
	}
	return &sum, nil
}

// readProof looks for digest records behind the last segment. The restore does
// not depend on that segment, so what is wrong with it is only logged.
func (r *restore) readProof(ctx context.Context, rp *replayer) []wal.Digest {
	if r.plan.Proof == nil {
		return nil
	}
	nothing := *r.plan.Proof
	nothing.From, nothing.To = 1, 0
	b := newBudget(r.opts.MemoryBytes)
	dec := rp.decoder
	dec.budget = b
	d, err := r.plan.src.segment(ctx, r.opts, &dec, 0, nothing, r.meter)
	if err != nil {
		r.opts.Logger.Warn("segment behind the target cannot be read for digests", "key", nothing.Key, "err", err)
		return nil
	}
	var out []wal.Digest
	for _, dg := range d.digests {
		if dg.LSN == r.plan.Reached.LSN {
			out = append(out, dg)
		}
	}
	return out
}
