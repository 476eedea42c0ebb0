package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nodedb-go/nodedb/node"
)

type ended struct{ n atomic.Int64 }

func (e *ended) UpdateEnded() { e.n.Add(1) }

// What is started is done after Send, told before the wake, and then not waited for.
func TestStarter(t *testing.T) {
	n := memNode(t, nil)
	db := n.Tenant(7)
	woken := make(chan struct{}, 1)
	s := n.NewStarter(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	var told ended
	const updates = 300
	var under [updates]node.Updating
	refused := errors.New("refused")
	for i := range under {
		key := fmt.Appendf(nil, "k%d", i)
		var err error
		under[i], err = s.StartUpdate(t.Context(), db, key, nil, func(tx *node.Tx) error {
			if i%10 == 0 {
				return refused
			}
			return tx.PutMillis(key, []byte("v"), 0)
		}, &told)
		if err != nil {
			t.Fatal(err)
		}
	}
	if told.n.Load() != 0 {
		t.Fatal("an update ends before Send")
	}
	s.Send()
	for told.n.Load() < updates {
		<-woken // or it never ends: the last end is followed by a wake
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i, u := range under {
		lsn, err := u.Wait(gone) // it does not wait, so nobody looks whether the context has ended
		if want := i%10 == 0; errors.Is(err, refused) != want || (lsn == 0) != want {
			t.Errorf("update %d: LSN %d, %v", i, lsn, err)
		}
	}
	if _, err := db.Get(t.Context(), []byte("k11")); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartUpdate(t.Context(), db, []byte("k"), nil, func(*node.Tx) error { return nil }, &told); !errors.Is(err, node.ErrClosed) {
		t.Errorf("on a closed node: %v", err)
	}
}
