package wal

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowFS syncs segments in syncTime of the test's clock.
type slowFS struct{ vfs.FS }

type slowFile struct{ vfs.File }

const syncTime = 400 * time.Microsecond

func (s slowFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.OpenReadWrite(name, c, opts...)
	if err != nil {
		return nil, err
	}
	return slowFile{f}, nil
}

func (f slowFile) SyncData() error {
	pass(syncTime)
	return f.File.SyncData()
}

// appendInTurns lets clients append so many records each, thinking before each
// one, and returns how many groups that took, and how long.
func appendInTurns(t *testing.T, l *Log, turns int, thinks ...time.Duration) (groups uint64, took time.Duration) {
	t.Helper()
	before, began := l.Stats().Groups, time.Now()
	var clients sync.WaitGroup
	for _, think := range thinks {
		clients.Go(func() {
			for range turns {
				pass(think)
				put(t, l, "x")
			}
		})
	}
	clients.Wait()
	return l.Stats().Groups - before, time.Since(began)
}

// Clients that come back while a disk would sync share one group each time,
// although the first of them could have begun one of its own.
func TestGatherOneGroupATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, slowFS{vfs.NewMem()}, &Options{SegmentAge: -1})
		if err := l.Start(1, 1); err != nil {
			t.Fatal(err)
		}
		var thinks []time.Duration
		for i := range 10 {
			thinks = append(thinks, time.Duration(10*(i+1))*time.Microsecond)
		}
		const turns = 100
		groups, took := appendInTurns(t, l, turns, thinks...)
		if groups > turns+5 {
			t.Errorf("%d groups for %d turns", groups, turns)
		}
		if most := (turns + 5) * (syncTime + thinks[9]); took > most {
			t.Errorf("took %v, want at most %v: the last to come writes", took, most)
		}
		closeLog(t, l)
	})
}

// A client whose companions do not come back in time waits for them seldom: now
// and then for as long as a sync takes.
func TestGatherGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, slowFS{vfs.NewMem()}, &Options{SegmentAge: -1})
		if err := l.Start(1, 1); err != nil {
			t.Fatal(err)
		}
		const turns = 1000
		stop := make(chan struct{})
		var slow sync.WaitGroup
		for range 2 {
			// Together they are woken, and are gone for long.
			slow.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(3 * syncTime):
						put(t, l, "x")
					}
				}
			})
		}
		_, took := appendInTurns(t, l, turns, 0)
		close(stop)
		slow.Wait()
		if most := turns * syncTime * 3 / 2; took > most { // twice as long without giving up
			t.Errorf("%d appends took %v, want at most %v", turns, took, most)
		}
		closeLog(t, l)
	})
}
