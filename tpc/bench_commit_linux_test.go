package tpc

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newLogFile(b *testing.B) *os.File {
	f, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return f
}

func writeAndSync(f *os.File, buf []byte) {
	if _, err := f.WriteAt(buf, 0); err != nil {
		panic(err)
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		panic(err)
	}
}

// cpuNanos is the processor time that the process has used.
func cpuNanos() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// selfCommit does the write and the fdatasync of a run of tasks on the core's
// own thread.
type selfCommit struct {
	NopDriver
	staged []*selfTask
	f      *os.File
	buf    []byte
}

type selfTask struct {
	echo
	driver *selfCommit
}

func (d *selfTask) Run(*Core) { d.driver.staged = append(d.driver.staged, d) }

func (s *selfCommit) Flush(*Core, bool) {
	writeAndSync(s.f, s.buf)
	for _, d := range s.staged {
		d.waiter.Done()
	}
	s.staged = s.staged[:0]
}

// BenchmarkSelfCommit is a durable write whose core commits by itself. The floor
// beside it is the same write in a plain loop.
func BenchmarkSelfCommit(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		f, buf := newLogFile(b), make([]byte, 4096)
		for b.Loop() {
			writeAndSync(f, buf)
		}
	})
	for _, clients := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			d := &selfCommit{f: newLogFile(b), buf: make([]byte, 4096)}
			r := newRuntime(b, &Options{NewDriver: func(int) Driver { return d }})
			core, ctx := r.Core(0), b.Context()
			cpu := cpuNanos()
			runClients(b, clients, func() func() {
				t := &selfTask{driver: d}
				return func() {
					if err := core.Submit(t); err != nil {
						b.Error(err)
					}
					t.waiter.Wait(ctx)
				}
			})
			b.ReportMetric(float64(cpuNanos()-cpu)/float64(b.Elapsed().Nanoseconds())*100, "cpu%")
		})
	}
}

// stager answers its tasks after a commit: one write and one fdatasync that a
// committer goroutine does for all cores together.
type stager struct {
	NopDriver
	commit  *committer
	staged  []*durable // of the commit that is to come
	waiting []*durable // of the commit in flight
	done    atomic.Uint64
	asked   uint64
}

type durable struct {
	echo
	driver *stager
}

func (d *durable) Run(*Core) { d.driver.staged = append(d.driver.staged, d) }

func (s *stager) Poll(c *Core) bool {
	if len(s.waiting) == 0 || s.done.Load() != s.asked {
		return false
	}
	for _, d := range s.waiting {
		d.waiter.Done()
	}
	s.waiting = s.waiting[:0]
	s.Flush(c, false)
	return true
}

func (s *stager) Flush(c *Core, _ bool) {
	if len(s.waiting) > 0 || len(s.staged) == 0 {
		return
	}
	s.staged, s.waiting = s.waiting, s.staged
	s.asked++
	s.commit.ask(s, c)
}

func (s *stager) Pending(*Core) bool { return len(s.staged)+len(s.waiting) > 0 }

type committer struct {
	mu    sync.Mutex
	cond  *sync.Cond
	asked []func()
	stop  bool
	syncs int
}

func (k *committer) ask(s *stager, c *Core) {
	k.mu.Lock()
	k.asked = append(k.asked, func() { s.done.Add(1); c.Wake() })
	k.mu.Unlock()
	k.cond.Signal()
}

func (k *committer) loop(f *os.File) {
	buf := make([]byte, 4096)
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		for len(k.asked) == 0 && !k.stop {
			k.cond.Wait()
		}
		if len(k.asked) == 0 {
			return
		}
		asked := k.asked
		k.asked = nil
		k.syncs++
		k.mu.Unlock()
		writeAndSync(f, buf)
		for _, tell := range asked {
			tell()
		}
		k.mu.Lock()
	}
}

// BenchmarkDurable is the shape of a durable write: clients that wait for a disk
// together. Spinning must not slow them down: spin=off is the baseline.
func BenchmarkDurable(b *testing.B) {
	for _, cores := range []int{1, 2} {
		for _, clients := range []int{1, 8, 64, 256} {
			for _, spin := range []time.Duration{-1, 0} {
				name := map[bool]string{true: "off", false: "on"}[spin < 0]
				b.Run(fmt.Sprintf("cores=%d/clients=%d/spin=%s", cores, clients, name), func(b *testing.B) {
					benchDurable(b, cores, clients, spin)
				})
			}
		}
	}
}

func benchDurable(b *testing.B, cores, clients int, spin time.Duration) {
	f := newLogFile(b)
	k := new(committer)
	k.cond = sync.NewCond(&k.mu)
	var wg sync.WaitGroup
	wg.Go(func() { k.loop(f) })
	drivers := make([]*stager, cores)
	r, err := New(&Options{Cores: cores, SpinMax: spin, NewDriver: func(core int) Driver {
		drivers[core] = &stager{commit: k}
		return drivers[core]
	}})
	if err != nil {
		b.Fatal(err)
	}
	next := 0
	cpu := cpuNanos()
	runClients(b, clients, func() func() {
		i := next % cores
		next++
		d := &durable{driver: drivers[i]}
		core, ctx := r.Core(i), b.Context()
		return func() {
			if err := core.Submit(d); err != nil {
				b.Error(err)
			}
			d.waiter.Wait(ctx)
		}
	})
	b.ReportMetric(float64(cpuNanos()-cpu)/float64(b.Elapsed().Nanoseconds())*100, "cpu%")
	b.ReportMetric(float64(b.N)/float64(k.syncs), "ops/sync")
	r.Close(b.Context())
	k.mu.Lock()
	k.stop = true
	k.mu.Unlock()
	k.cond.Broadcast()
	wg.Wait()
}
