package pitr

import (
	"context"
	"encoding/hex"

	"github.com/nodedb-go/nodedb/wal"
)

// anyDigestRecord is the source of a digest that was met during the replay.
const anyDigestRecord = "a digest record"

// prove reads the whole state, adds up its digest and holds it against
// everything that was published about exactly this LSN.
func (r *restore) prove(ctx context.Context, rp *replayer) error {
	sum, err := digestAll(ctx, r.opts.Workers, r.vshards, r.plan.Reached.LSN)
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
