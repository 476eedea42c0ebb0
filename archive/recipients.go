package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

const (
	recipientsMax     = 64
	recipientBytesMax = 4 << 10 // a post-quantum one has about 2,000 characters
)

// ErrBadRecipient: text that is not the public key of an age identity.
var ErrBadRecipient = errors.New("archive: bad age recipient")

// Recipients are the public keys for which an archive is encrypted: whoever
// holds the identity of one of them can read it. Immutable.
type Recipients struct {
	id    RecipientsID
	names []string // sorted
	keys  []age.Recipient
}

// ParseRecipients reads public keys, "age1…" or the post-quantum "age1pq1…",
// which cannot be mixed. The same key twice is once. ErrBadRecipient.
func ParseRecipients(texts ...string) (*Recipients, error) {
	r := &Recipients{}
	for _, t := range texts {
		t = strings.TrimSpace(t)
		if _, err := parseRecipient(t); err != nil {
			return nil, err
		}
		r.names = append(r.names, t)
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	switch n := len(r.names); {
	case n == 0:
		return nil, fmt.Errorf("%w: none given", ErrBadRecipient)
	case n > recipientsMax:
		return nil, fmt.Errorf("%w: %d given, at most %d can share an object", ErrBadRecipient, n, recipientsMax)
	}
	for _, t := range r.names {
		k, err := parseRecipient(t)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, k)
	}
	// Post-quantum keys refuse to share a file with others; said here rather
	// than at the first upload.
	w, err := age.Encrypt(io.Discard, r.keys...)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: these cannot be used together: %w", ErrBadRecipient, err)
	}
	r.id = recipientsID(r.names)
	if r.id == (RecipientsID{}) {
		return nil, fmt.Errorf("%w: the set's name is 00000000, which stands for none; add or replace a key", ErrBadRecipient)
	}
	return r, nil
}

func recipientsID(sorted []string) RecipientsID {
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n") + "\n"))
	return RecipientsID(sum[:4])
}

func parseRecipient(text string) (age.Recipient, error) {
	const shown = 80
	short := text
	if len(short) > shown {
		short = short[:shown] + "…"
	}
	if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") {
		// Never printed: it is the secret itself.
		return nil, fmt.Errorf("%w: this is an identity, the private key; give the public one, age1…", ErrBadRecipient)
	}
	if len(text) > recipientBytesMax || text != strings.ToLower(text) {
		return nil, fmt.Errorf("%w: %q: want age1…, in lower case", ErrBadRecipient, short)
	}
	var k age.Recipient
	var err error
	if strings.HasPrefix(text, "age1pq1") {
		k, err = age.ParseHybridRecipient(text)
	} else {
		k, err = age.ParseX25519Recipient(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrBadRecipient, short, err)
	}
	return k, nil
}

// ID is the set's name in keys of objects; the zero value for nil.
func (r *Recipients) ID() RecipientsID {
	if r == nil {
		return RecipientsID{}
	}
	return r.id
}

// Strings are the public keys, sorted.
func (r *Recipients) Strings() []string {
	if r == nil {
		return nil
	}
	return slices.Clone(r.names)
}
