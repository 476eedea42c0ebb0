package archive

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzLedger: no input panics, and what is read is written back as it was.
func FuzzLedger(f *testing.F) {
	good, err := encodeLedger(&Ledger{NodeID: "n1", WrittenAt: goldenTime, Lines: []LedgerLine{{Key: "obj/00", Size: 3, MD5: "ab", Full: goldenTime}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":2,"node_id":"n1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := decodeLedger(data, "n1")
		if err != nil {
			return
		}
		back, err := encodeLedger(l)
		if err != nil {
			return // a time beyond year 9999
		}
		again, err := decodeLedger(back, "n1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, again); diff != "" && l.Version == ledgerVersion {
			t.Error(diff)
		}
	})
}
