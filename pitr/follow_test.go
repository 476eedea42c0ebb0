package pitr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/faultfs"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/wal"
)

const standbyDir = "/data/node"

// crashStride: each share of kept data dies at its own every fifth operation,
// neighbours of each other; all at all take half a minute.
const crashStride = 5

func newDataFS(t tb) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	check(t, fs.MkdirAll("/data", 0o755))
	return fs
}

// once catches up, and ends.
func (k *kit) once(fs vfs.FS, change func(*FollowOptions)) (*FollowStatus, error) {
	fo := &FollowOptions{Restore: *k.options(fs, crashOptions()), Once: true}
	if change != nil {
		change(fo)
	}
	return Follow(k.ctx, k.archives(), standbyDir, fo)
}

// follows catches up and holds the standby against the model at lsn.
func (k *kit) follows(fs vfs.FS, tl wal.Timeline, lsn wal.LSN) *FollowStatus {
	k.t.Helper()
	st, err := k.once(fs, nil)
	if err != nil {
		k.t.Fatalf("follow: %v", err)
	}
	k.standsAt(fs, st, tl, lsn)
	return st
}

func (k *kit) standsAt(fs vfs.FS, st *FollowStatus, tl wal.Timeline, lsn wal.LSN) {
	k.t.Helper()
	if st.Applied != lsn || st.Archived != lsn || st.LagSeconds != 0 {
		k.t.Fatalf("the standby is at LSN %d of %d, %gs behind; want %d", st.Applied, st.Archived, st.LagSeconds, lsn)
	}
	at := Position{Timeline: tl, LSN: lsn}
	if us := st.AppliedTime.UnixMicro(); us != k.times[at] {
		k.t.Fatalf("time applied is %d, want %d", us, k.times[at])
	}
	if diff := cmp.Diff(k.model[at], k.content(fs, standbyDir), cmp.AllowUnexported(modelEntry{})); diff != "" {
		k.t.Fatalf("content at LSN %d (-model +standby):\n%s", lsn, diff)
	}
}

func (k *kit) promote(fs vfs.FS) (*Promotion, error) {
	return Promote(k.ctx, k.archives(), standbyDir, &PromoteOptions{Restore: *k.options(fs, crashOptions())})
}

// promoted promotes and holds the node against the model at what it says to
// have reached.
func (k *kit) promoted(fs vfs.FS) *Promotion {
	k.t.Helper()
	p, err := k.promote(fs)
	check(k.t, err)
	want := k.model[Position{Timeline: p.Reached.Timeline, LSN: p.Reached.LSN}]
	if p.Digest != want.digest() || p.Entries != uint64(len(want)) {
		k.t.Fatalf("promoted at %s: digest %s over %d entries, model says %s over %d", p.Reached, p.Digest, p.Entries, want.digest(), len(want))
	}
	if p.NextLSN <= k.highest() {
		k.t.Fatalf("Law 9: next LSN is %d, and LSN %d was archived", p.NextLSN, k.highest())
	}
	return p
}

// A standby begins with a base and the segments behind it, then follows what
// arrives over restarts of itself and of its node.
func TestFollow(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.puts(20, "a", "1")
	l.seal()
	l.base()
	l.puts(10, "b", "2")
	l.seal()
	fs := newDataFS(t)
	st := k.follows(fs, 1, l.last)
	if st.State != FollowStopped || st.NodeID != kitNode || st.Timeline != 1 {
		t.Errorf("status: %+v", st)
	}
	k.follows(fs, 1, l.last)
	l.del("a3")
	l.seal()
	l.puts(3, "c", "3")
	l.seal()
	if st := k.follows(fs, 1, l.last); st.Segments != 2 || st.Records != 4 {
		t.Errorf("applied %d segments with %d records, want 2 with 4", st.Segments, st.Records)
	}
	l.restart()
	l.put("d", "4")
	l.seal()
	k.follows(fs, 1, l.last)

	file, err := ReadFollowStatus(fs, standbyDir)
	check(t, err)
	if file.Applied != l.last || file.State != FollowStopped {
		t.Errorf("status file: %+v", file)
	}
	l.end()
}

// The latest state may be a base in the middle of a segment that arrives later.
func TestFollow_BaseInsideSegment(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.seal()
	l.put("b", "2")
	l.base()
	fs := newDataFS(t)
	k.follows(fs, 1, l.last)
	l.put("c", "3")
	l.seal()
	k.follows(fs, 1, l.last)
	l.end()
}

// liveFollow runs Follow until the test ends it; at waits for a status.
type liveFollow struct {
	t      *testing.T
	stop   context.CancelFunc
	states chan FollowStatus
	done   chan error
}

func (k *kit) live(t *testing.T, fs vfs.FS, interval time.Duration) *liveFollow {
	ctx, stop := context.WithCancel(t.Context())
	l := &liveFollow{t: t, stop: stop, states: make(chan FollowStatus), done: make(chan error, 1)}
	fo := &FollowOptions{Restore: *k.options(fs, crashOptions()), Interval: interval}
	fo.Status = func(s FollowStatus) {
		select {
		case l.states <- s:
		case <-ctx.Done():
		}
	}
	go func() {
		_, err := Follow(ctx, k.archives(), standbyDir, fo)
		l.done <- err
	}()
	return l
}

func (l *liveFollow) until(what string, ok func(FollowStatus) bool) FollowStatus {
	l.t.Helper()
	for range 10000 {
		select {
		case s := <-l.states:
			if ok(s) {
				return s
			}
		case err := <-l.done:
			l.t.Fatalf("follower ended with %v, waiting for %s", err, what)
		}
	}
	l.t.Fatalf("no status shows %s", what)
	return FollowStatus{}
}

func (l *liveFollow) current(lsn wal.LSN) FollowStatus {
	l.t.Helper()
	return l.until(fmt.Sprintf("LSN %d", lsn), func(s FollowStatus) bool { return s.State == FollowCurrent && s.Applied == lsn })
}

func (l *liveFollow) end() error {
	l.stop()
	return <-l.done
}

// While it follows, segments that arrive are applied, out of order too; readers,
// nodes and promotions are told that it is there.
func TestFollow_Live(t *testing.T) {
	k := newKit(t, t.Context(), newMemStore())
	l := k.begin()
	l.put("a", "1")
	l.seal()
	fs := newDataFS(t)
	f := k.live(t, fs, time.Microsecond)
	f.current(l.last)
	l.puts(5, "b", "2")
	l.seal()
	f.current(l.last)

	if _, err := k.promote(fs); !errors.Is(err, ErrFollowed) {
		t.Errorf("promote while somebody follows: %v, want ErrFollowed", err)
	}
	if _, err := k.once(fs, nil); !errors.Is(err, ErrFollowed) {
		t.Errorf("follow twice: %v, want ErrFollowed", err)
	}

	// The second of two segments arrives first.
	at := l.last
	l.put("c", "3")
	_, _, err := l.log.Seal(t.Context())
	check(t, err)
	early := l.sealed
	l.sealed = nil
	l.put("d", "4")
	l.seal()
	f.until("what is missing", func(s FollowStatus) bool {
		return s.State == FollowWaiting && s.Applied == at && s.MissingFrom == at+1 && s.MissingTo == at+1 && s.Archived == l.last && s.LagSeconds > 0
	})
	l.upload(early[0])
	f.current(l.last)
	check(t, f.end())
	k.promoted(fs)
	l.end()
}

// countStore counts requests.
type countStore struct {
	*memStore
	lists, reads atomic.Int64
	down         atomic.Bool
}

func (s *countStore) List(ctx context.Context, prefix, after string) iter.Seq2[archive.Object, error] {
	s.lists.Add(1)
	if s.down.Load() {
		return func(yield func(archive.Object, error) bool) {
			yield(archive.Object{}, s.fail("list", prefix, archive.ErrUnreachable))
		}
	}
	return s.memStore.List(ctx, prefix, after)
}

func (s *countStore) ReadRange(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.reads.Add(1)
	return s.memStore.ReadRange(ctx, key, off, n)
}

// A poll that finds nothing costs one listing; one that finds a segment two, and
// the segment. A store that does not answer is asked again.
func TestFollow_Requests(t *testing.T) {
	store := &countStore{memStore: newMemStore()}
	k := newKit(t, t.Context(), store)
	l := k.begin()
	for range 5 {
		l.put("a", "1")
		l.seal()
	}
	fs := newDataFS(t)
	f := k.live(t, fs, time.Microsecond)
	f.current(l.last)
	polls := func() (uint64, int64, int64) {
		s := <-f.states
		return s.Polls, store.lists.Load(), store.reads.Load()
	}
	p0, l0, r0 := polls()
	for range 50 {
		<-f.states
	}
	p1, l1, r1 := polls()
	// The next poll may be under way.
	if per := l1 - l0 - int64(p1-p0); per < -1 || per > 1 || r1 != r0 || p1-p0 < 40 {
		t.Errorf("%d polls without news made %d listings and %d reads, want one listing each", p1-p0, l1-l0, r1-r0)
	}
	l.put("b", "2")
	l.seal()
	f.current(l.last)
	p2, l2, r2 := polls()
	if per := l2 - l1 - int64(p2-p1); per < 0 || per > 2 || r2-r1 != 1 {
		t.Errorf("a new segment took %d listings in %d polls and %d reads, want one more and one", l2-l1, p2-p1, r2-r1)
	}
	check(t, f.end())
	l.end()
}

// A store that is down troubles a follower and does not stop it.
func TestFollow_StoreDown(t *testing.T) {
	store := &countStore{memStore: newMemStore()}
	k := newKit(t, t.Context(), store)
	l := k.begin()
	l.put("a", "1")
	l.seal()
	fs := newDataFS(t)
	k.follows(fs, 1, l.last)
	store.down.Store(true)
	if _, err := k.once(fs, nil); ExitCode(err) != ExitUnreachable {
		t.Errorf("catch up without the store: %v", err)
	}
	if _, err := k.promote(fs); ExitCode(err) != ExitUnreachable {
		t.Errorf("promote without the store: %v", err)
	}
	f := k.live(t, fs, time.Microsecond)
	f.until("trouble", func(s FollowStatus) bool { return s.State == FollowTroubled && s.Error != "" && s.Applied == l.last })
	store.down.Store(false)
	l.put("b", "2")
	l.seal()
	f.current(l.last)
	check(t, f.end())
	l.end()
}

// The process dies before any file system operation, from the first restore to
// the last round, and the machine keeps none, some or all that was not synced:
// the next run goes on, and ends with the right state. Law 4.
func TestFollow_CrashAtEveryOperation(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.puts(12, "a", "1")
	l.seal()
	l.base()
	l.puts(12, "b", "2")
	l.seal()
	before := mem.clone()
	l.restart()
	l.del("a3")
	l.puts(4, "a", "3")
	l.seal()
	l.put("c", "3")
	l.end()
	for i, keep := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("keep %d%%", keep), func(t *testing.T) {
			fs := newDataFS(t)
			hooked := faultfs.New(fs)
			var clones []*vfs.MemFS
			hooked.Hook(func(op faultfs.Op) {
				if op.N%crashStride != int64(i) {
					return
				}
				rng := rand.New(rand.NewPCG(uint64(op.N), uint64(keep)))
				clones = append(clones, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}))
			})
			_, err := k.over(t, before).once(hooked, nil)
			check(t, err)
			_, err = k.once(hooked, nil)
			check(t, err)
			hooked.Hook(nil)
			for i, clone := range clones {
				st, err := k.over(t, mem).once(clone, nil)
				if err != nil {
					t.Fatalf("crash %d of %d: %v", i, len(clones), err)
				}
				k.over(t, mem).standsAt(clone, st, 1, l.last)
			}
			t.Logf("%d crashes", len(clones))
		})
	}
}

// A promotion dies before any file system operation: the directory is a standby
// or a node, and promoting again ends with the node.
func TestPromote_CrashAtEveryOperation(t *testing.T) {
	mem := newMemStore()
	k := newKit(t, t.Context(), mem)
	l := k.begin()
	l.puts(12, "a", "1")
	l.seal()
	start := newDataFS(t)
	k.follows(start, 1, l.last)
	l.put("b", "2")
	l.end()
	for i, keep := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("keep %d%%", keep), func(t *testing.T) {
			fs := start.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			hooked := faultfs.New(fs)
			var clones []*vfs.MemFS
			hooked.Hook(func(op faultfs.Op) {
				rng := rand.New(rand.NewPCG(uint64(op.N), uint64(keep)))
				clones = append(clones, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}))
			})
			k.over(t, mem).promoted(hooked)
			hooked.Hook(nil)
			finished := 0
			clones = append(clones, fs)
			for n, clone := range clones {
				// Of the end, where the node is made, every operation.
				if n%crashStride != i && n < len(clones)-40 {
					continue
				}
				p, err := k.over(t, mem).promote(clone)
				switch {
				case errors.Is(err, ErrNotStandby): // all was done
				case err != nil:
					t.Fatalf("crash %d of %d: %v", n, len(clones), err)
				case p.Finished:
					finished++
				}
				meta, err := engine.ReadMeta(clone, standbyDir)
				check(t, err)
				if meta.TimelineClaimed || meta.ParentTimeline != 1 || meta.ForkLSN != l.last || meta.FirstLSN != l.last+1 {
					t.Fatalf("crash %d: node.json %+v", n, meta)
				}
				if diff := cmp.Diff(k.model[Position{Timeline: 1, LSN: l.last}], k.over(t, mem).content(clone, standbyDir), cmp.AllowUnexported(modelEntry{})); diff != "" {
					t.Fatalf("crash %d (-model +node):\n%s", n, diff)
				}
				for _, left := range []string{engine.StandbyFile, followSubdir} {
					if _, err := clone.Stat(clone.PathJoin(standbyDir, left)); err == nil {
						t.Fatalf("crash %d: %s is left", n, left)
					}
				}
			}
			t.Logf("%d crashes, %d behind the last step", len(clones), finished)
			if finished == 0 {
				t.Error("no crash hit the cleaning")
			}
		})
	}
}
