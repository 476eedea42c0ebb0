package archive

import (
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

func FuzzRecipients(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	r, err := ParseRecipients(id.Recipient().String())
	if err != nil {
		f.Fatal(err)
	}
	good, err := encodeJSON(&RecipientsInfo{Version: 1, NodeID: "n1", ID: r.ID().String(), Recipients: r.Strings()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, r.id[:])
	f.Add([]byte(`{"version":1,"node_id":"n1","id":"00000000","recipients":[]}`), []byte{0, 0, 0, 0})
	f.Add([]byte(`{"version":2}`), []byte{1, 2, 3, 4})
	if _, err := decodeRecipients(good, "n1", r.id); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data, id []byte) {
		if len(id) != len(RecipientsID{}) {
			return
		}
		info, err := decodeRecipients(data, "n1", RecipientsID(id))
		if err != nil {
			return
		}
		again, err := ParseRecipients(info.Recipients...)
		if err != nil || again.id != RecipientsID(id) || !slices.Equal(again.names, info.Recipients) {
			t.Fatalf("%+v is read as set %x: %v", info, id, err)
		}
	})
}

// What is refused is never printed when it is a secret.
func TestRecipientsRefuse(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	pub := id.Recipient().String()
	for name, in := range map[string][]string{
		"none": nil, "empty": {""}, "text": {"age1nonsense"}, "upper": {strings.ToUpper(pub)},
		"cut": {pub[:20]}, "identity": {id.String()}, "mixed": {pub, pq.Recipient().String()},
	} {
		_, err := ParseRecipients(in...)
		if err == nil || !strings.HasPrefix(err.Error(), ErrBadRecipient.Error()) || strings.Contains(err.Error(), id.String()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseIdentities(strings.NewReader(id.String()[:40])); err == nil || strings.Contains(err.Error(), id.String()[20:40]) {
		t.Errorf("half an identity: %v", err)
	}
	a, err := ParseRecipients(pub, " "+pub+"\n")
	if err != nil || len(a.Strings()) != 1 {
		t.Errorf("one key twice: %v, %v", a.Strings(), err)
	}
	if q, err := ParseRecipients(pq.Recipient().String()); err != nil || q.ID() == a.ID() {
		t.Errorf("post-quantum: %v", err)
	}
}
