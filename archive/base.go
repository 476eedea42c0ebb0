package archive

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	manifestVersion = 2 // has encrypted files
	// manifestVersionPlain is what earlier programs read too.
	manifestVersionPlain = 1

	manifestBytesMax = 256 << 20
	baseFileBytesMax = 1 << 40
	baseNameLenMax   = 128
)

// Manifest describes one base: which files make up every vshard at a
// checkpoint, and under which hash their content is in the store. It is
// written last, so a base without one does not exist.
type Manifest struct {
	Version   int              `json:"version"`
	NodeID    string           `json:"node_id"`
	ID        string           `json:"id"`
	Timeline  wal.Timeline     `json:"timeline"`
	Epoch     wal.Epoch        `json:"epoch"` // of the writer
	LSN       wal.LSN          `json:"lsn"`   // the cut: no vshard has applied more
	Time      time.Time        `json:"time"`  // of the record at LSN
	Digest    string           `json:"digest,omitempty"`
	Entries   uint64           `json:"entries"`
	CreatedAt time.Time        `json:"created_at"`
	VShards   []ManifestVShard `json:"vshards"` // ascending by ID
}

// ManifestVShard is one vshard of a base.
type ManifestVShard struct {
	ID      uint16         `json:"id"`
	Applied wal.LSN        `json:"applied"` // replay goes on after it
	Files   []ManifestFile `json:"files"`   // ascending by name
}

// ManifestFile is one file of a vshard.
type ManifestFile struct {
	Name        string `json:"name"` // in the vshard's directory; one path element
	Bytes       int64  `json:"bytes"`
	SHA256      string `json:"sha256"` // of the file
	SealedBytes int64  `json:"sealed_bytes"`
	SealedMD5   string `json:"sealed_md5"`
	Recipients  string `json:"recipients,omitempty"` // 8 hex digits; empty: not encrypted
}

// Object is the key under which the file's content was stored for this base.
// The same content may be there under other keys too, encrypted for others.
func (f *ManifestFile) Object() (ObjKey, error) {
	k := ObjKey{Zstd: true}
	raw, err := hex.DecodeString(f.SHA256)
	if err != nil || len(raw) != len(k.SHA256) || strings.ToLower(f.SHA256) != f.SHA256 {
		return k, errors.New("SHA-256 is not 64 lower-case hex digits")
	}
	copy(k.SHA256[:], raw)
	if f.Recipients == "" {
		return k, nil
	}
	sum, err := hex.DecodeString(f.SealedMD5)
	id, ierr := hex.DecodeString(f.Recipients)
	if err != nil || ierr != nil || len(sum) != md5.Size || len(id) != len(k.Age.Recipients) || strings.ToLower(f.Recipients) != f.Recipients {
		return k, errors.New("recipients are not 8 lower-case hex digits")
	}
	copy(k.Age.Recipients[:], id)
	copy(k.Age.MD5[:], sum)
	return k, k.valid()
}

// Key is the manifest's own key.
func (m *Manifest) Key() BaseKey { return BaseKey{Timeline: m.Timeline, LSN: m.LSN, ID: m.ID} }

// Totals counts the files of a base and their bytes, plain and sealed.
func (m *Manifest) Totals() (files int, bytes, sealedBytes int64) {
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			f := &m.VShards[i].Files[j]
			files++
			bytes += f.Bytes
			sealedBytes += f.SealedBytes
		}
	}
	return files, bytes, sealedBytes
}

// valid refuses whatever WriteBase would not write: a manifest decides where
// a restore writes files.
func (m *Manifest) valid() error {
	switch {
	case !ValidNodeID(m.NodeID):
		return errors.New("bad node id")
	case m.Epoch == 0:
		return errors.New("epoch 0")
	case len(m.VShards) == 0:
		return errors.New("no vshards")
	}
	if err := m.Key().valid(); err != nil {
		return err
	}
	if raw, err := hex.DecodeString(m.Digest); err != nil || len(raw) != 0 && len(raw) != 32 {
		return errors.New("digest is not 64 hex digits")
	}
	for i := range m.VShards {
		v := &m.VShards[i]
		switch {
		case v.ID == wal.VShardNone:
			return fmt.Errorf("vshard number %d", v.ID)
		case i > 0 && v.ID <= m.VShards[i-1].ID:
			return fmt.Errorf("vshard %d out of order or twice", v.ID)
		case v.Applied > m.LSN:
			return fmt.Errorf("vshard %d has applied LSN %d, above the cut %d", v.ID, v.Applied, m.LSN)
		}
		if err := v.valid(); err != nil {
			return fmt.Errorf("vshard %d: %w", v.ID, err)
		}
	}
	return nil
}

func (v *ManifestVShard) valid() error {
	for j := range v.Files {
		f := &v.Files[j]
		if err := f.valid(); err != nil {
			return fmt.Errorf("file %q: %w", f.Name, err)
		}
		if j > 0 && f.Name <= v.Files[j-1].Name {
			return fmt.Errorf("file %q out of order or twice", f.Name)
		}
	}
	return nil
}

func (f *ManifestFile) valid() error {
	if !validFileName(f.Name) {
		return errors.New("name is not one plain path element")
	}
	if f.Bytes < 0 || f.Bytes > baseFileBytesMax || f.SealedBytes <= 0 || f.SealedBytes > baseFileBytesMax {
		return fmt.Errorf("%d bytes, %d sealed", f.Bytes, f.SealedBytes)
	}
	if raw, err := hex.DecodeString(f.SealedMD5); err != nil || len(raw) != 16 {
		return errors.New("MD5 is not 32 hex digits")
	}
	_, err := f.Object()
	return err
}

// validFileName allows what storage engines call their files, and nothing
// that leaves the directory or hides in it.
func validFileName(s string) bool {
	if s == "" || len(s) > baseNameLenMax || s[0] == '.' {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// ReadBase reads and checks the manifest of a base.
func ReadBase(ctx context.Context, s Store, nodeID string, k BaseKey) (*Manifest, error) {
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, manifestBytesMax)
	if err != nil {
		return nil, fmt.Errorf("read base manifest: %w", err)
	}
	m, err := decodeManifest(data, nodeID, k)
	if err != nil {
		return nil, objectErr(s, key, "not a usable base manifest", err)
	}
	return m, nil
}

func decodeManifest(data []byte, nodeID string, k BaseKey) (*Manifest, error) {
	m := new(Manifest)
	if err := decodeJSON(data, manifestVersion, m); err != nil {
		return nil, err
	}
	if err := m.valid(); err != nil {
		return nil, err
	}
	if m.NodeID != nodeID || m.Key() != k {
		return nil, fmt.Errorf("is base %s of node %q", m.Key(), m.NodeID)
	}
	return m, nil
}

// ListBases lists the bases of a node that have a manifest, by timeline and
// LSN.
func ListBases(ctx context.Context, s Store, nodeID string) ([]BaseKey, error) {
	var out []BaseKey
	for o, err := range listKeys[BaseKey](ctx, s, nodeID, "base/", "") {
		if err != nil {
			return nil, err
		}
		out = append(out, o.Key)
	}
	return out, nil
}
