package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	proofVersion  = 1
	proofBytesMax = 1 << 20
)

// Verdict is what a drill came to.
type Verdict string

// The verdicts of a drill.
const (
	VerdictEqual     Verdict = "equal"     // the rebuilt state has the digest that the node published
	VerdictDifferent Verdict = "different" // it has another one
	VerdictUnproven  Verdict = "unproven"  // the node published nothing to compare with
)

// ProofInfo is the content of a proof object: what a drill rebuilt, and whether
// it was what the node had published. It is created once and never changed.
type ProofInfo struct {
	Version int    `json:"version"`
	NodeID  string `json:"node_id"`
	ID      string `json:"id"`

	Target   string       `json:"target"` // as it was asked for
	Seed     uint64       `json:"seed,omitempty"`
	Timeline wal.Timeline `json:"timeline"`
	LSN      wal.LSN      `json:"lsn"` // of the state that was rebuilt
	Time     time.Time    `json:"time,omitzero"`

	Verdict   Verdict  `json:"verdict"`
	Digest    string   `json:"digest"` // of the rebuilt state
	Entries   uint64   `json:"entries"`
	Published string   `json:"published,omitempty"` // what the node said
	Sources   []string `json:"sources"`             // who said it

	BaseLSN  wal.LSN  `json:"base_lsn,omitempty"` // 0: replayed from LSN 1
	Segments int      `json:"segments"`
	Records  uint64   `json:"records"`
	Bytes    int64    `json:"bytes"` // fetched
	Seconds  float64  `json:"seconds"`
	Stores   []string `json:"stores"`

	Tool      string    `json:"tool"` // program and version
	Host      string    `json:"host,omitempty"`
	StartedAt time.Time `json:"started_at"`
}

// Key is the name of the proof's object.
func (p *ProofInfo) Key() ProofKey { return ProofKey{Timeline: p.Timeline, LSN: p.LSN, ID: p.ID} }

func (p *ProofInfo) valid() error {
	if !ValidNodeID(p.NodeID) {
		return errors.New("bad node id")
	}
	switch p.Verdict {
	case VerdictEqual, VerdictDifferent, VerdictUnproven:
	default:
		return fmt.Errorf("unknown verdict %q", p.Verdict)
	}
	return p.Key().valid()
}

// WriteProof creates a proof object. It is read back: a proof that a store only
// acknowledged is none.
func WriteProof(ctx context.Context, s Store, p ProofInfo) error {
	p.Version = proofVersion
	if err := p.valid(); err != nil {
		return fmt.Errorf("archive: invalid proof: %w", err)
	}
	data, err := encodeJSON(&p)
	if err != nil {
		return fmt.Errorf("encode proof: %w", err)
	}
	if err := createSmall(ctx, s, Join(p.NodeID, p.Key()), data); err != nil {
		return fmt.Errorf("create proof: %w", err)
	}
	if _, err := ReadProof(ctx, s, p.NodeID, p.Key()); err != nil {
		return fmt.Errorf("read back what was acknowledged: %w", err)
	}
	return nil
}

// ReadProof reads one proof.
func ReadProof(ctx context.Context, s Store, nodeID string, k ProofKey) (ProofInfo, error) {
	if err := ValidKey(k); err != nil {
		return ProofInfo{}, err
	}
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, proofBytesMax)
	if err != nil {
		return ProofInfo{}, fmt.Errorf("read proof: %w", err)
	}
	p, err := decodeProof(data, nodeID, k)
	if err != nil {
		return ProofInfo{}, objectErr(s, key, "not a proof object", err)
	}
	return p, nil
}

func decodeProof(data []byte, nodeID string, k ProofKey) (ProofInfo, error) {
	var p ProofInfo
	if err := decodeJSON(data, proofVersion, &p); err != nil {
		return ProofInfo{}, err
	}
	if err := p.valid(); err != nil {
		return ProofInfo{}, err
	}
	if p.NodeID != nodeID || p.Key() != k {
		return ProofInfo{}, fmt.Errorf("is %s of node %q", p.Key(), p.NodeID)
	}
	return p, nil
}

// Proofs lists the proofs of a node, by timeline and LSN.
func (a *Archive) Proofs(ctx context.Context) ([]ProofEntry, error) {
	var out []ProofEntry
	for o, err := range listKeys[ProofKey](ctx, a.store, a.nodeID, proofPrefix, "") {
		if err != nil {
			return nil, err
		}
		out = append(out, ProofEntry{o.Key, o.Object})
	}
	return out, nil
}
