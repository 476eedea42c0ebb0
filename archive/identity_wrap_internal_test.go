package archive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

// xorKeeper stands for a key service that may be down.
type xorKeeper struct{ err error }

func (k xorKeeper) Encrypt(_ context.Context, p []byte) ([]byte, error) {
	out := bytes.Clone(p)
	for i := range out {
		out[i] ^= 0x55
	}
	return out, k.err
}

func (k xorKeeper) Decrypt(ctx context.Context, c []byte) ([]byte, error) { return k.Encrypt(ctx, c) }

func TestWrappedIdentity(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := []byte("# a comment\n" + id.String() + "\n")
	down := errors.New("no route")
	wrapped, err := WrapIdentities(t.Context(), xorKeeper{}, file)
	if err != nil || !Wrapped(wrapped) || bytes.Contains(wrapped, []byte(id.String())) {
		t.Fatalf("wrapped %q, %v", wrapped, err)
	}
	got, err := UnwrapIdentities(t.Context(), xorKeeper{}, wrapped)
	if err != nil || !slices.Equal(got.Public(), []string{id.Recipient().String()}) {
		t.Errorf("unwrapped %v, %v", got.Public(), err)
	}
	if _, err := UnwrapIdentities(t.Context(), xorKeeper{down}, wrapped); !errors.Is(err, ErrKeyService) || !errors.Is(err, down) {
		t.Errorf("key service down: %v", err)
	}
	if _, err := WrapIdentities(t.Context(), xorKeeper{}, []byte("no key")); !errors.Is(err, ErrBadIdentity) {
		t.Errorf("wrap of no key: %v", err)
	}
	other := strings.Replace(string(wrapped), " v1\n", " v2\n", 1)
	if _, err := UnwrapIdentities(t.Context(), xorKeeper{}, []byte(other)); !errors.Is(err, ErrVersion) || errors.Is(err, ErrBadIdentity) {
		t.Errorf("later version: %v", err)
	}
	for i := range wrapped[:len(wrapped)-1] {
		if _, err := UnwrapIdentities(t.Context(), xorKeeper{}, wrapped[:i]); err == nil {
			t.Fatalf("cut at %d is taken", i)
		}
	}
}

func FuzzWrappedIdentity(f *testing.F) {
	f.Add([]byte("nodedb-wrapped-identity v1\nAAAA\n"))
	f.Add([]byte("nodedb-wrapped-identity v9\nAAAA\n"))
	f.Add([]byte("AGE-SECRET-KEY-1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed, err := decodeWrapped(data)
		if err != nil {
			if !errors.Is(err, ErrBadIdentity) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		if len(sealed) == 0 || !Wrapped(data) {
			t.Fatalf("%q is taken as a wrapped identity", data)
		}
	})
}
