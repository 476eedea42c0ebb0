package tpc

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

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
