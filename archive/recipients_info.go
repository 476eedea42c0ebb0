package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

const (
	recipientsVersion  = 1
	recipientsBytesMax = 512 << 10
)

// RecipientsInfo is the content of a recipients object: the public keys behind
// the eight digits in names. It is created before the first object that is
// encrypted for them, so that who lacks a key can be told which one.
type RecipientsInfo struct {
	Version    int      `json:"version"`
	NodeID     string   `json:"node_id"`
	ID         string   `json:"id"`         // 8 hex digits
	Recipients []string `json:"recipients"` // sorted
}

// WriteRecipients creates the object of a set. It never changes, so one that
// is there is success. ErrExists when another set has the same name.
func WriteRecipients(ctx context.Context, s Store, nodeID string, r *Recipients) error {
	data, err := encodeJSON(&RecipientsInfo{
		Version: recipientsVersion, NodeID: nodeID, ID: r.ID().String(), Recipients: r.Strings(),
	})
	if err != nil {
		return fmt.Errorf("encode recipients: %w", err)
	}
	err = createSmall(ctx, s, Join(nodeID, RecipientsKey{r.ID()}), data)
	if errors.Is(err, ErrExists) {
		// Another version may write the same set in other bytes.
		there, rerr := ReadRecipients(ctx, s, nodeID, r.ID())
		if errors.Is(rerr, ErrCorrupt) {
			return nil // it only names keys; a catalog reports the damage
		}
		if rerr != nil {
			return rerr
		}
		if slices.Equal(there.Recipients, r.names) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("create recipients %s: %w", r.ID(), err)
	}
	return nil
}

// ReadRecipients reads the public keys of a set; ErrNotFound when nothing was
// encrypted for it.
func ReadRecipients(ctx context.Context, s Store, nodeID string, id RecipientsID) (RecipientsInfo, error) {
	k := RecipientsKey{id}
	if err := ValidKey(k); err != nil {
		return RecipientsInfo{}, err
	}
	key := Join(nodeID, k)
	data, err := readSmall(ctx, s, key, recipientsBytesMax)
	if err != nil {
		return RecipientsInfo{}, fmt.Errorf("read recipients %s: %w", id, err)
	}
	info, err := decodeRecipients(data, nodeID, id)
	if err != nil {
		return RecipientsInfo{}, objectErr(s, key, "not a recipients object", err)
	}
	return info, nil
}

func decodeRecipients(data []byte, nodeID string, id RecipientsID) (RecipientsInfo, error) {
	var r RecipientsInfo
	if err := decodeJSON(data, recipientsVersion, &r); err != nil {
		return RecipientsInfo{}, err
	}
	if len(r.Recipients) > recipientsMax {
		return RecipientsInfo{}, fmt.Errorf("has %d recipients", len(r.Recipients))
	}
	keys, err := ParseRecipients(r.Recipients...)
	if err != nil {
		return RecipientsInfo{}, err
	}
	if !slices.Equal(keys.names, r.Recipients) {
		return RecipientsInfo{}, errors.New("recipients are not sorted, or one is there twice")
	}
	if r.NodeID != nodeID || r.ID != id.String() || keys.id != id {
		return RecipientsInfo{}, fmt.Errorf("is set %q of node %q, with keys of set %s", r.ID, r.NodeID, keys.id)
	}
	return r, nil
}

// ErrEncrypted: an archive has encrypted objects, and a writer was about to go
// on in plain. Errors that match it are *EncryptedError.
var ErrEncrypted = errors.New("archive: it is encrypted, and no recipients are given")

// EncryptedError says whose archive, and for whom it is encrypted.
type EncryptedError struct {
	Store, NodeID string
	IDs           []RecipientsID
}

// Error names the sets of recipients.
func (e *EncryptedError) Error() string {
	return fmt.Sprintf("archive of node %s in %s is encrypted for recipients %v, and none are given: what is written now would be readable by everybody",
		e.NodeID, e.Store, e.IDs)
}

// Is matches ErrEncrypted.
func (e *EncryptedError) Is(target error) bool { return target == ErrEncrypted }

// CheckPlain tells whether a writer may go on without encryption: *EncryptedError
// when the store holds recipients of the node. One request.
func CheckPlain(ctx context.Context, s Store, nodeID string) error {
	e := &EncryptedError{Store: s.URL(), NodeID: nodeID}
	for o, err := range listKeys[RecipientsKey](ctx, s, nodeID, "keys/", "") {
		if err != nil {
			return err
		}
		e.IDs = append(e.IDs, o.Key.ID)
	}
	if len(e.IDs) > 0 {
		return e
	}
	return nil
}

// settleRecipients comes before the first object: the set is named, or nobody
// expects one.
func settleRecipients(ctx context.Context, s Store, nodeID string, r *Recipients, allowPlain bool) error {
	switch {
	case r != nil:
		return WriteRecipients(ctx, s, nodeID, r)
	case allowPlain:
		return nil
	}
	return CheckPlain(ctx, s, nodeID)
}
