package archive

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nodedb-go/nodedb/wal"
)

// LedgerKey names one snapshot of what was verified, and when.
type LedgerKey struct{ Seq uint64 }

// ProofKey names what one drill found.
type ProofKey struct {
	Timeline wal.Timeline
	LSN      wal.LSN // of the state that was rebuilt
	ID       string  // 1 to 32 characters of a-z and 0-9
}

const (
	ledgerPrefix = "verify/"
	proofPrefix  = "proof/"
)

var errZeroSeq = errors.New("has sequence number 0")

// String is "verify/<seq16>.json.zst".
func (k LedgerKey) String() string { return fmt.Sprintf("%s%016x.json.zst", ledgerPrefix, k.Seq) }

// String is "proof/<timeline8>/<lsn16>-<id>.json".
func (k ProofKey) String() string {
	return fmt.Sprintf("%s%08x/%016x-%s.json", proofPrefix, uint32(k.Timeline), uint64(k.LSN), k.ID)
}

func (k LedgerKey) valid() error {
	if k.Seq == 0 {
		return errZeroSeq
	}
	return nil
}

func (k ProofKey) valid() error {
	if k.LSN == 0 {
		return errBadSpan
	}
	return BaseKey(k).valid() // ids follow the same rule
}

func (f *fields) ledger() Key {
	k := LedgerKey{Seq: f.hex(16)}
	f.literal(".json.zst")
	return k
}

func (f *fields) proof() Key {
	k := ProofKey{Timeline: f.timeline(), LSN: wal.LSN(f.hex(16))}
	f.literal("-")
	id, _, _ := strings.Cut(f.rest, ".")
	k.ID = f.take(len(id))
	f.literal(".json")
	return k
}

// LedgerEntry is a snapshot of a ledger.
type LedgerEntry struct {
	LedgerKey
	Object
}

// ProofEntry is the proof of a drill.
type ProofEntry struct {
	ProofKey
	Object
}

// String is the key's.
func (e LedgerEntry) String() string { return e.LedgerKey.String() }

// String is the key's.
func (e ProofEntry) String() string { return e.ProofKey.String() }
