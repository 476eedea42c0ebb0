package archive

import "encoding/hex"

// RecipientsID is the name of a set of age recipients: the head of the SHA-256
// of their public keys, sorted, each with a newline behind it. Zero is no set.
type RecipientsID [4]byte

// String is 8 lower-case hex digits.
func (id RecipientsID) String() string { return hex.EncodeToString(id[:]) }

// Age is what the name of an encrypted object says besides its content: for
// whom it is encrypted, and the head of the MD5 of the stored bytes. The zero
// value is an object that is not encrypted.
//
// Encryption draws a new key each time, so one content has as many encrypted
// forms as there were attempts. With the MD5 in it a name means one sequence of
// bytes: who cannot decrypt an object can still tell whether it is whole, most
// often by what the store reports without reading it.
type Age struct {
	Recipients RecipientsID
	MD5        ShortSum
}

// Encrypted tells whether the object is.
func (a Age) Encrypted() bool { return a != Age{} }

// suffix is "" or ".<recips8>.<md516>.age".
func (a Age) suffix() string {
	if !a.Encrypted() {
		return ""
	}
	return "." + a.Recipients.String() + "." + a.MD5.String() + ".age"
}

func (a Age) valid() bool { return !a.Encrypted() || a.Recipients != RecipientsID{} }
