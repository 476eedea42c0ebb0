package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Law 2: from the moment when a cut is armed until its LSN is chosen no core
// applies anything new; what is durable by then is in the cut, and becomes
// visible after it.
func TestCut_HoldsApplyUntilChosen(t *testing.T) {
	n := start(t, smallOptions(vfs.NewMem()))
	db := n.Tenant(0)
	n.barrierMu.Lock() // the LSN cannot be chosen
	type answer struct {
		d   DigestResult
		err error
	}
	done, read := make(chan answer, 1), make(chan error, 2)
	go func() {
		d, err := n.Digest(t.Context())
		done <- answer{d, err}
	}()
	await(t, "the cut to be armed", func() bool { return n.cut.Load() != nil })
	for core := range 2 {
		lsn, err := db.Put(t.Context(), keyOn(n, core), []byte("v"), &WriteOptions{Async: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.log.Wait(t.Context(), lsn); err != nil {
			t.Fatal(err)
		}
		go func() { read <- n.ReadAfter(t.Context(), lsn) }()
		for range 20 {
			block(t, n, core)() // the core goes round, and would apply what it may
		}
		_, err = db.Get(t.Context(), keyOn(n, core))
		wantError(t, "Get while the cut's LSN is open", err, ErrNotFound)
	}
	if len(read) > 0 {
		t.Error("ReadAfter returned before its LSN was applied")
	}
	n.barrierMu.Unlock()
	for range 2 {
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
	a := <-done
	if a.err != nil || a.d.Entries != 2 || a.d.LSN != 3 {
		t.Fatalf("Digest = %+v, %v, want both entries at LSN 3", a.d, a.err)
	}
	if err := n.ReadAfter(t.Context(), a.d.LSN); err != nil {
		t.Fatal(err)
	}
	for core := range 2 {
		if _, err := db.Get(t.Context(), keyOn(n, core)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, n)
}
