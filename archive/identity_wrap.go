package archive

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A wrapped identity is an identity file that a key service encrypted, so that
// the file alone opens nothing:
//
//	nodedb-wrapped-identity v1
//	<base64 of what the key service returned>
const (
	wrappedMagic    = "nodedb-wrapped-identity "
	wrappedV1       = "v1"
	wrappedBytesMax = 2 << 20
)

// ErrKeyService: the key service refused, or did not answer.
var ErrKeyService = errors.New("archive: key service")

// Keeper is a key service: *secrets.Keeper of gocloud.dev is one.
type Keeper interface {
	Encrypt(ctx context.Context, plaintext []byte) ([]byte, error)
	Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error)
}

// Wrapped tells whether data is a wrapped identity file, of any version.
func Wrapped(data []byte) bool { return bytes.HasPrefix(data, []byte(wrappedMagic)) }

// WrapIdentities encrypts an identity file with a key service. It refuses what
// ParseIdentities does: a mistake would show only when the key is needed.
func WrapIdentities(ctx context.Context, k Keeper, file []byte) ([]byte, error) {
	if _, err := ParseIdentities(bytes.NewReader(file)); err != nil {
		return nil, err
	}
	sealed, err := k.Encrypt(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("%w: wrap identity: %w", ErrKeyService, err)
	}
	return fmt.Appendf(nil, "%s%s\n%s\n", wrappedMagic, wrappedV1, base64.StdEncoding.EncodeToString(sealed)), nil
}

// UnwrapIdentities reads a wrapped identity file. ErrBadIdentity, ErrVersion
// for a file of a later program, ErrKeyService.
func UnwrapIdentities(ctx context.Context, k Keeper, data []byte) (*Identities, error) {
	sealed, err := decodeWrapped(data)
	if err != nil {
		return nil, err
	}
	file, err := k.Decrypt(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: unwrap identity: %w", ErrKeyService, err)
	}
	defer clear(file)
	return ParseIdentities(bytes.NewReader(file))
}

func decodeWrapped(data []byte) ([]byte, error) {
	if len(data) > wrappedBytesMax {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBadIdentity, wrappedBytesMax)
	}
	head, body, ok := strings.Cut(string(data), "\n")
	version, magic := strings.CutPrefix(head, wrappedMagic)
	switch {
	case !magic || !ok:
		return nil, fmt.Errorf("%w: not a wrapped identity file", ErrBadIdentity)
	case version != wrappedV1:
		return nil, fmt.Errorf("%w: wrapped identity %.20q, known is %s", ErrVersion, version, wrappedV1)
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(body, "\n"))
	if err != nil || len(sealed) == 0 {
		return nil, fmt.Errorf("%w: a wrapped identity file whose second line is not base64", ErrBadIdentity)
	}
	return sealed, nil
}
