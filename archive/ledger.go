package archive

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

const (
	ledgerVersion  = 1
	ledgerBytesMax = 512 << 20 // more than two million objects
	ledgerKept     = 4         // snapshots; older ones are removed where that is allowed
	ledgerAttempts = 8         // when several write at once
)

// LedgerLine is what is known of one object.
type LedgerLine struct {
	Key  string    `json:"key"` // below the node's prefix
	Size int64     `json:"size"`
	MD5  string    `json:"md5,omitempty"` // of the stored bytes, when they were last read or the store told
	Full time.Time `json:"full,omitzero"` // every byte was read and checked
	Fast time.Time `json:"fast,omitzero"` // size and sum of the store were compared
	// Problem is what the last check found; empty when all was right.
	Problem string `json:"problem,omitempty"`
	// Of segments: their SHA-256, and that of the segment before as they say.
	SHA256 string `json:"sha256,omitempty"`
	Prev   string `json:"prev,omitempty"`
}

// Last is when the object was checked in any way.
func (l *LedgerLine) Last() time.Time {
	if l.Fast.After(l.Full) {
		return l.Fast
	}
	return l.Full
}

// Ledger says when each object of an archive was verified. A snapshot is
// complete: the newest one is all there is to read.
type Ledger struct {
	Version   int          `json:"version"`
	NodeID    string       `json:"node_id"`
	WrittenAt time.Time    `json:"written_at"`
	Tool      string       `json:"tool,omitempty"`
	Lines     []LedgerLine `json:"objects"` // by key
}

// Merge takes over what o knows better: the later check of an object counts.
func (l *Ledger) Merge(o *Ledger) {
	byKey := make(map[string]LedgerLine, len(l.Lines))
	for _, x := range slices.Concat(l.Lines, o.Lines) {
		if have, ok := byKey[x.Key]; !ok || x.Last().After(have.Last()) {
			if have.Full.After(x.Full) {
				x.Full = have.Full
			}
			byKey[x.Key] = x
		}
	}
	l.Lines = l.Lines[:0]
	for _, x := range byKey {
		l.Lines = append(l.Lines, x)
	}
	slices.SortFunc(l.Lines, func(x, y LedgerLine) int { return strings.Compare(x.Key, y.Key) })
}

func decodeLedger(data []byte, nodeID string) (*Ledger, error) {
	var l Ledger
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	switch {
	case l.Version < 1:
		return nil, errors.New("has no version")
	case l.Version > ledgerVersion:
		return nil, fmt.Errorf("%w: version %d, known up to %d", ErrVersion, l.Version, ledgerVersion)
	case l.NodeID != nodeID:
		return nil, fmt.Errorf("is of node %q", l.NodeID)
	}
	return &l, nil
}

func encodeLedger(l *Ledger) ([]byte, error) {
	l.Version = ledgerVersion
	data, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode ledger: %w", err)
	}
	return append(data, '\n'), nil
}

// LoadLedger reads the newest usable snapshot in the archive; an empty ledger
// when there is none. A damaged snapshot is passed over for the one before.
func (a *Archive) LoadLedger(ctx context.Context) (*Ledger, error) {
	l, _, err := a.loadLedger(ctx)
	return l, err
}

// loadLedger gives the entries of all snapshots too, oldest first.
func (a *Archive) loadLedger(ctx context.Context) (*Ledger, []LedgerEntry, error) {
	var all []LedgerEntry
	for o, err := range listKeys[LedgerKey](ctx, a.store, a.nodeID, ledgerPrefix, "") {
		if err != nil {
			return nil, nil, err
		}
		all = append(all, LedgerEntry{o.Key, o.Object})
	}
	slices.SortFunc(all, func(x, y LedgerEntry) int { return cmp.Compare(x.Seq, y.Seq) })
	for i := len(all) - 1; i >= 0; i-- {
		l, err := a.readLedger(ctx, all[i].Object.Key)
		if err == nil {
			return l, all, nil
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) {
			return nil, nil, fmt.Errorf("read ledger: %w", err)
		}
	}
	return &Ledger{NodeID: a.nodeID}, all, nil
}

func (a *Archive) readLedger(ctx context.Context, key string) (*Ledger, error) {
	r, err := a.store.ReadRange(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	plain, err := Unseal(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = plain.Close() }()
	data, err := io.ReadAll(io.LimitReader(plain, ledgerBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > ledgerBytesMax {
		return nil, objectErr(a.store, key, fmt.Sprintf("is larger than %d bytes", ledgerBytesMax), nil)
	}
	l, err := decodeLedger(data, a.nodeID)
	if err != nil {
		return nil, objectErr(a.store, key, "not a ledger", err)
	}
	return l, nil
}

// SaveLedger adds a snapshot. When somebody else wrote one in the meantime, both
// are merged, so that nothing that anybody verified is forgotten. It is read back
// before it counts. Snapshots behind the newest few are removed where the store
// allows it.
func (a *Archive) SaveLedger(ctx context.Context, l *Ledger) error {
	for range ledgerAttempts {
		have, all, err := a.loadLedger(ctx)
		if err != nil {
			return err
		}
		l.Merge(have)
		data, err := encodeLedger(l)
		if err != nil {
			return err
		}
		var sealed bytes.Buffer
		if _, err := Seal(&sealed, bytes.NewReader(data)); err != nil {
			return err
		}
		next := LedgerKey{Seq: 1}
		if n := len(all); n > 0 {
			next.Seq = all[n-1].Seq + 1
		}
		key := a.Key(next)
		err = a.store.Create(ctx, key, bytes.NewReader(sealed.Bytes()), int64(sealed.Len()))
		if errors.Is(err, ErrExists) {
			continue
		}
		if err != nil {
			return fmt.Errorf("create ledger: %w", err)
		}
		if _, err := a.readLedger(ctx, key); err != nil {
			return fmt.Errorf("read back the ledger that was acknowledged: %w", err)
		}
		for i := 0; i+ledgerKept <= len(all); i++ {
			// Credentials that cannot delete are the better ones.
			_ = a.store.Delete(ctx, all[i].Object.Key)
		}
		return nil
	}
	return fmt.Errorf("archive: %d others wrote a ledger first: %w", ledgerAttempts, ErrExists)
}

// LedgerFile is a ledger in a local file, for those who must not write into the
// archive.
type LedgerFile struct {
	FS     vfs.FS
	Path   string
	NodeID string
}

// LoadLedger reads the file; an empty ledger when there is none.
func (f *LedgerFile) LoadLedger(context.Context) (*Ledger, error) {
	r, err := f.FS.Open(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return &Ledger{NodeID: f.NodeID}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, ledgerBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	l, err := decodeLedger(data, f.NodeID)
	if err != nil {
		return nil, fmt.Errorf("%s is no ledger of node %s: %w", f.Path, f.NodeID, err)
	}
	return l, nil
}

// SaveLedger replaces the file at once and durably.
func (f *LedgerFile) SaveLedger(_ context.Context, l *Ledger) error {
	data, err := encodeLedger(l)
	if err != nil {
		return err
	}
	return durable.WriteFile(f.FS, f.FS.PathDir(f.Path), f.FS.PathBase(f.Path), data)
}

// Over is the same archive read through another store.
func (a *Archive) Over(s Store) *Archive {
	c := *a
	c.store = s
	return &c
}
