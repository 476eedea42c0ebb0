package node_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

func number(tx *node.Tx, key []byte) (int, error) {
	e, err := tx.Get(key)
	if errors.Is(err, node.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(e.Value))
}

// Transfers between accounts of one vshard leave the sum as it is, for everybody
// and after a restart: nothing comes between what an update reads and writes.
func TestDB_Update(t *testing.T) {
	const accounts, clients, transfers = 4, 8, 40
	dir := t.TempDir()
	n, err := node.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	account := func(i int) []byte { return fmt.Appendf(nil, "{bank}%d", i%accounts) }
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range transfers {
				from, to := account(c+i), account(c+i+1+i%(accounts-1))
				lsn, err := n.Tenant(0).Update(context.Background(), from, nil, func(tx *node.Tx) error {
					a, err := number(tx, from)
					if err != nil {
						return err
					}
					if err := tx.Put(from, strconv.AppendInt(nil, int64(a-1), 10), time.Time{}); err != nil {
						return err
					}
					b, err := number(tx, to)
					if err != nil {
						return err
					}
					return tx.Put(to, strconv.AppendInt(nil, int64(b+1), 10), time.Time{})
				})
				if err != nil || lsn == 0 {
					t.Errorf("update: LSN %d, %v", lsn, err)
				}
			}
		})
	}
	wg.Wait()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, dir, nil)
	sum := 0
	for i := range accounts {
		v, err := n.Tenant(0).Get(t.Context(), account(i))
		if err != nil {
			t.Fatal(err)
		}
		a, err := strconv.Atoi(string(v))
		if err != nil {
			t.Fatal(err)
		}
		sum += a
	}
	if sum != 0 {
		t.Errorf("the accounts add up to %d, want 0", sum)
	}
}

// What an update writes it reads; an error undoes all of it; a key elsewhere is
// refused.
func TestDB_UpdateUndone(t *testing.T) {
	n := memNode(t, nil)
	db := n.Tenant(3)
	mustPut(t, db, "{a}1", "one")
	refused := errors.New("refused")
	lsn, err := db.Update(t.Context(), []byte("{a}1"), nil, func(tx *node.Tx) error {
		if err := tx.Delete([]byte("{a}1")); err != nil {
			return err
		}
		if _, err := tx.Get([]byte("{a}1")); !errors.Is(err, node.ErrNotFound) {
			return fmt.Errorf("a deleted key: %w", err)
		}
		if err := tx.Put([]byte("{a}2"), []byte("two"), tx.Now().Add(time.Hour)); err != nil {
			return err
		}
		if e, err := tx.Get([]byte("{a}2")); err != nil || string(e.Value) != "two" || e.ExpireAt == 0 {
			return fmt.Errorf("a key that was put: %q, %w", e.Value, err)
		}
		return refused
	})
	if !errors.Is(err, refused) || lsn != 0 {
		t.Fatalf("update: LSN %d, %v, want %v", lsn, err, refused)
	}
	wantGet(t, db, "{a}1", "one")
	wantAbsent(t, db, "{a}2")
	var elsewhere []byte
	for i := 0; ; i++ { // one of them is in another vshard
		elsewhere = fmt.Appendf(nil, "b%d", i)
		_, err := db.Update(t.Context(), []byte("{a}1"), nil, func(tx *node.Tx) error { return tx.Put(elsewhere, nil, time.Time{}) })
		if errors.Is(err, node.ErrCrossVShard) {
			break
		}
		if err != nil || i > 1000 {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	wantAbsent(t, db, string(elsewhere))
	if _, err := db.Update(t.Context(), []byte("{a}1"), nil, func(*node.Tx) error { panic("in the middle") }); !errors.Is(err, node.ErrInternal) {
		t.Errorf("a panic: %v", err)
	}
	if lsn, err := db.Update(t.Context(), []byte("{a}1"), nil, func(*node.Tx) error { return nil }); err != nil || lsn != 0 {
		t.Errorf("an update without changes: LSN %d, %v", lsn, err)
	}
}

// Updates that were started one after the other run in that order, and each sees
// those before it although none of them is durable yet.
func TestDB_StartUpdate(t *testing.T) {
	n := memNode(t, nil)
	db, key := n.Tenant(0), []byte("k")
	var under []node.Updating
	for i := range 200 {
		u, err := db.StartUpdate(t.Context(), key, nil, func(tx *node.Tx) error {
			was, err := number(tx, key)
			if err == nil && was != i {
				err = fmt.Errorf("update %d sees %d", i, was)
			}
			if err != nil {
				return err
			}
			return tx.Put(key, strconv.AppendInt(nil, int64(i+1), 10), time.Time{})
		})
		if err != nil {
			t.Fatal(err)
		}
		under = append(under, u)
	}
	var last wal.LSN
	for i, u := range under {
		lsn, err := u.Wait(t.Context())
		if err != nil || lsn <= last {
			t.Fatalf("update %d: LSN %d after %d, %v", i, lsn, last, err)
		}
		last = lsn
	}
	wantGet(t, db, "k", "200")
}
