package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

// demoModel is what the node must hold, computed from the script and the
// acknowledgements alone.
type demoModel struct {
	script *demoScript
	hashes [][sha256.Size]byte // of the source's files
	lsns   [][]wal.LSN         // by writer: LSN of each acknowledged operation
}

func newDemoModel(s *demoScript) (*demoModel, error) {
	m := &demoModel{script: s, lsns: make([][]wal.LSN, s.writers)}
	for _, f := range s.files {
		data, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, fmt.Errorf("read the source: %w", err)
		}
		m.hashes = append(m.hashes, sha256.Sum256(data))
	}
	return m, nil
}

// ack takes an acknowledgement. They come in order for each writer.
func (m *demoModel) ack(e demoEvent) error {
	if e.Writer < 0 || e.Writer >= len(m.lsns) || e.Op != len(m.lsns[e.Writer]) || e.LSN == 0 {
		return fmt.Errorf("writer %d acknowledged operation %d as LSN %d, which is out of order", e.Writer, e.Op, e.LSN)
	}
	if n := len(m.lsns[e.Writer]); n > 0 && m.lsns[e.Writer][n-1] >= e.LSN {
		return fmt.Errorf("writer %d: LSN %d of operation %d is not above the one before", e.Writer, e.LSN, e.Op)
	}
	m.lsns[e.Writer] = append(m.lsns[e.Writer], e.LSN)
	return nil
}

// complete is the LSN up to which every operation is known: each writer has
// acknowledged one above it.
func (m *demoModel) complete() wal.LSN {
	low := ^wal.LSN(0)
	for _, l := range m.lsns {
		if len(l) == 0 {
			return 0
		}
		low = min(low, l[len(l)-1])
	}
	return low
}

// at is the last operation of each key, among those up to lsn.
func (m *demoModel) at(lsn wal.LSN) map[string]demoOp {
	state := make(map[string]demoOp, len(m.script.files))
	for w, lsns := range m.lsns {
		ops := m.script.stream(w)
		for _, l := range lsns {
			op := ops.next()
			if l > lsn {
				break
			}
			state[m.script.files[op.file].Path] = op
		}
	}
	return state
}

// pending is the operation that each writer may have had under way.
func (m *demoModel) pending() []demoOp {
	out := make([]demoOp, m.script.writers)
	for w, lsns := range m.lsns {
		ops := m.script.stream(w)
		for range lsns {
			ops.next()
		}
		out[w] = ops.next()
	}
	return out
}

// holds says whether a value is the one that op wrote.
func (m *demoModel) holds(value []byte, op demoOp) bool {
	if op.version == 0 {
		return false
	}
	head, ok := m.script.cut(value, op)
	return ok && sha256.Sum256(head) == m.hashes[op.file]
}

// demoSum computes the digest anew, by its definition: the sum over all entries
// of SHA-256("kv1" | tenant | key length | key | expiry | value).
type demoSum struct {
	d   engine.Digest
	buf []byte
}

func (s *demoSum) add(key, value []byte, expireAt int64) {
	b := append(s.buf[:0], "kv1"...)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = binary.LittleEndian.AppendUint64(b, uint64(expireAt))
	b = append(b, value...)
	s.d.AddEntry(b)
	s.buf = b
}

// compare walks over all entries and gives their digest. Every difference from
// the expected state goes to differ.
func (m *demoModel) compare(scan *node.Scanner, want map[string]demoOp, differ func(format string, args ...any)) (string, uint64, error) {
	var sum demoSum
	seen := make(map[string]bool, len(want))
	for scan.Next() {
		key := string(scan.Key())
		sum.add(scan.Key(), scan.Value(), scan.ExpireAt())
		seen[key] = true
		op, ok := want[key]
		switch {
		case !ok || op.version == 0:
			differ("key %q is there and should not be", key)
		case !m.holds(scan.Value(), op):
			differ("key %q does not hold version %d of its file", key, op.version)
		}
	}
	for key, op := range want {
		if op.version != 0 && !seen[key] {
			differ("key %q is missing, version %d was acknowledged", key, op.version)
		}
	}
	return sum.d.String(), sum.d.Entries(), scan.Err()
}
