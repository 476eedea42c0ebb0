package tpc

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRoundTrip is one closed-loop request per client: through a core and
// back. The baselines stand beside it: "literal" is a locked thread that parks
// in poll after every drain and is signalled for every request, "goroutine" is
// an ordinary goroutine with a channel.
func BenchmarkRoundTrip(b *testing.B) {
	for _, clients := range []int{1, 8, 16, 64, 128, 256} {
		b.Run(fmt.Sprintf("tpc/clients=%d", clients), func(b *testing.B) { benchTPC(b, clients) })
		b.Run(fmt.Sprintf("literal/clients=%d", clients), func(b *testing.B) { benchLiteral(b, clients) })
		b.Run(fmt.Sprintf("goroutine/clients=%d", clients), func(b *testing.B) { benchGoroutine(b, clients) })
	}
}

// runClients spreads b.N calls of what newClient returns over the clients.
func runClients(b *testing.B, clients int, newClient func() func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		call := newClient()
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				call()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e3, "kops/s")
}

func benchTPC(b *testing.B, clients int) {
	r, err := New(&Options{Cores: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close(b.Context())
	core, ctx := r.Core(0), b.Context()
	runClients(b, clients, func() func() {
		e := new(echo)
		return func() {
			if err := core.Submit(e); err != nil {
				b.Error(err)
			}
			e.waiter.Wait(ctx)
		}
	})
	m := core.Metrics()
	b.ReportMetric(float64(m.Parks)/float64(b.N), "parks/op")
}

func benchLiteral(b *testing.B, clients int) {
	queue := make(chan chan struct{}, 1024)
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	signal := func() {
		one := [8]byte{1}
		unix.Write(fd, one[:])
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		var word [8]byte
		for {
			unix.Poll(fds, 100)
			unix.Read(fd, word[:])
			for drained := false; !drained; {
				select {
				case reply := <-queue:
					if reply == nil {
						return
					}
					reply <- struct{}{}
				default:
					drained = true
				}
			}
		}
	}()
	runClients(b, clients, func() func() {
		reply := make(chan struct{}, 1)
		return func() {
			queue <- reply
			signal()
			<-reply
		}
	})
	queue <- nil
	signal()
	<-done
}

func benchGoroutine(b *testing.B, clients int) {
	queue := make(chan chan struct{}, 1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for reply := range queue {
			reply <- struct{}{}
		}
	}()
	runClients(b, clients, func() func() {
		reply := make(chan struct{}, 1)
		return func() {
			queue <- reply
			<-reply
		}
	})
	close(queue)
	<-done
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
		f.WriteAt(buf, 0)
		unix.Fdatasync(int(f.Fd()))
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
	f, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	f.Write(make([]byte, 1<<20))
	f.Sync()
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
	var cpu0, cpu1 unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &cpu0)
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
	unix.Getrusage(unix.RUSAGE_SELF, &cpu1)
	b.ReportMetric(float64(cpu1.Utime.Nano()+cpu1.Stime.Nano()-cpu0.Utime.Nano()-cpu0.Stime.Nano())/float64(b.Elapsed().Nanoseconds())*100, "cpu%")
	b.ReportMetric(float64(b.N)/float64(k.syncs), "ops/sync")
	r.Close(b.Context())
	k.mu.Lock()
	k.stop = true
	k.mu.Unlock()
	k.cond.Broadcast()
	wg.Wait()
}
