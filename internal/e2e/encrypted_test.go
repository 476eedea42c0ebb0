package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"
	_ "gocloud.dev/blob/memblob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

func keyPair(t *testing.T) (string, *archive.Identities) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String(), archive.NewIdentities(id)
}

func recipients(t *testing.T, public ...string) *archive.Recipients {
	t.Helper()
	r, err := archive.ParseRecipients(public...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// restoreWith restores the latest state for who holds ids.
func restoreWith(t *testing.T, store archive.Store, ids *archive.Identities) (*pitr.Result, error) {
	t.Helper()
	a, err := archive.Open(store, "n1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pitr.NewPlan(t.Context(), []*archive.Archive{a.WithIdentities(ids)}, pitr.Target{Latest: true})
	if err != nil {
		return nil, err
	}
	return pitr.Restore(t.Context(), p, "/restored", &pitr.Options{FS: vfs.NewMem()})
}

// A node that goes from plain to encrypted to other keys: all of its history
// comes back with all of its keys, and less than all is refused by name. Law 7
// is watched by the store that keeps its objects.
func TestEncrypted_RotationMidHistory(t *testing.T) {
	for _, kind := range []string{"file", "mem"} {
		t.Run(kind, func(t *testing.T) {
			url := "mem://"
			if kind == "file" {
				url = "file://" + t.TempDir()
			}
			store, _, err := archive.OpenStore(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			pub1, id1 := keyPair(t)
			pub2, id2 := keyPair(t)
			pub3, id3 := keyPair(t)
			fs := vfs.NewMem()
			o := archived(fs, archive.StoreConfig{Store: store})
			var want node.DigestResult
			kept := map[string]string{}
			for i, r := range []*archive.Recipients{nil, recipients(t, pub1), recipients(t, pub2, pub3)} {
				o.Recipients = r
				n := openNode(t, "/node", o)
				put(t, n, string(rune('a'+i)), 30)
				if i < 2 {
					if _, err := n.Backup(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				put(t, n, string(rune('x'+i)), 10)
				sealArchived(t, n)
				want = digest(t, n)
				sealArchived(t, n)
				closeNode(t, n)
				now := objects(t, store)
				for key, body := range kept {
					if now[key] != body {
						t.Errorf("Law 7: %s changed", key)
					}
				}
				kept = now
			}
			for _, ids := range []*archive.Identities{id1.Join(id2), id3.Join(id1)} {
				got, err := restoreWith(t, store, ids)
				if err != nil {
					t.Fatal(err)
				}
				if got.Digest != want.Digest || got.Entries != want.Entries {
					t.Errorf("restored %s over %d entries, want %s over %d", got.Digest, got.Entries, want.Digest, want.Entries)
				}
			}
			for name, c := range map[string]struct {
				ids  *archive.Identities
				want string
			}{"no key": {nil, pub2}, "old key": {id1, pub2}, "new key": {id2, pub1}} {
				_, err := restoreWith(t, store, c.ids)
				if !errors.Is(err, archive.ErrKeyMissing) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", name, err)
				}
				if pitr.ExitCode(err) != pitr.ExitError {
					t.Errorf("%s: exit code %d", name, pitr.ExitCode(err))
				}
			}
			o.Recipients = nil
			if n, err := node.Open("/node", o); !errors.Is(err, archive.ErrEncrypted) {
				t.Errorf("opened without recipients: %v", err)
				_ = n.Close()
			}
			a, err := archive.Open(archivetest.NewFaulty(store, nil), "n1")
			if err != nil {
				t.Fatal(err)
			}
			r, err := pitr.Verify(t.Context(), a, nil)
			if err != nil || !r.OK() || r.Unopened == 0 {
				t.Errorf("verify without a key: %+v, %v", r, err)
			}
			for _, ids := range []*archive.Identities{id1.Join(id2), id1} {
				r, err := pitr.Verify(t.Context(), a.WithIdentities(ids), nil)
				if err != nil {
					t.Fatal(err)
				}
				if all := ids != id1; r.OK() != all {
					t.Errorf("verify with all keys (%v): %+v", all, r.Problems)
				}
			}
		})
	}
}
