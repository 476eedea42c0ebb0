package archive

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

const identitiesBytesMax = 1 << 20

// ErrBadIdentity: text that holds no private keys of age.
var ErrBadIdentity = errors.New("archive: bad age identity")

// ErrKeyMissing: an object is encrypted, and no identity that was given opens
// it. Errors that match it are *KeyMissingError.
var ErrKeyMissing = errors.New("archive: the key to an encrypted object is missing")

// Identities are the private keys that open encrypted objects. They are needed
// to read an archive, never to write one. Immutable; nil opens nothing.
type Identities struct {
	keys   []age.Identity
	public []string // of those keys that tell; sorted
	silent bool     // some key does not tell its public one
}

// NewIdentities takes keys from wherever the program has them. Those that come
// from hardware or plugins are only found out to fit by trying.
func NewIdentities(keys ...age.Identity) *Identities {
	ids := &Identities{keys: slices.Clone(keys)}
	for _, k := range keys {
		switch k := k.(type) {
		case *age.X25519Identity:
			ids.public = append(ids.public, k.Recipient().String())
		case *age.HybridIdentity:
			ids.public = append(ids.public, k.Recipient().String())
		default:
			ids.silent = true
		}
	}
	slices.Sort(ids.public)
	return ids
}

// ParseIdentities reads an identity file as age-keygen writes it: one key a
// line, # begins a comment. ErrBadIdentity, whose text never shows the input.
func ParseIdentities(r io.Reader) (*Identities, error) {
	data, err := io.ReadAll(io.LimitReader(r, identitiesBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	if len(data) > identitiesBytesMax {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBadIdentity, identitiesBytesMax)
	}
	keys, err := age.ParseIdentities(strings.NewReader(string(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: want lines that begin with AGE-SECRET-KEY-1 or AGE-SECRET-KEY-PQ-1", ErrBadIdentity)
	}
	return NewIdentities(keys...), nil
}

// Join is all keys of both.
func (ids *Identities) Join(more *Identities) *Identities {
	switch {
	case ids == nil:
		return more
	case more == nil:
		return ids
	}
	return NewIdentities(slices.Concat(ids.keys, more.keys)...)
}

// Public are the public keys, sorted, of those identities that tell theirs.
func (ids *Identities) Public() []string {
	if ids == nil {
		return nil
	}
	return slices.Clone(ids.public)
}

// MayOpen tells whether one of the identities belongs to one of the recipients,
// or might.
func (ids *Identities) MayOpen(recipients []string) bool {
	if ids == nil || len(ids.keys) == 0 {
		return false
	}
	return ids.silent || slices.ContainsFunc(ids.public, func(p string) bool { return slices.Contains(recipients, p) })
}

// KeyMissingError names the key that would open an object.
type KeyMissingError struct {
	Store, Key string
	Recipients RecipientsID
	Needed     []string // public keys: the identity of any of them opens it; empty when unknown
	Given      []string // public keys of the identities that were tried
}

// Error says which key is missing, and for which object.
func (e *KeyMissingError) Error() string {
	s := fmt.Sprintf("%v: %s in %s is encrypted for recipients %s", ErrKeyMissing, e.Key, e.Store, e.Recipients)
	if len(e.Needed) > 0 {
		s += " (" + strings.Join(e.Needed, ", ") + ")"
	}
	if len(e.Given) == 0 {
		return s + ", and no identity was given"
	}
	return s + ", and none of the identities given opens it (" + strings.Join(e.Given, ", ") + ")"
}

// Is matches ErrKeyMissing.
func (e *KeyMissingError) Is(target error) bool { return target == ErrKeyMissing }
