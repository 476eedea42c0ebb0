package tpc

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

type selfSync struct {
	NopDriver
	staged []*selfTask
	f      *os.File
	buf    []byte
}
type selfTask struct {
	echo
	driver *selfSync
}

func (d *selfTask) Run(*Core) { d.driver.staged = append(d.driver.staged, d) }
func (s *selfSync) Flush(c *Core, _ bool) {
	s.f.WriteAt(s.buf, 0)
	unix.Fdatasync(int(s.f.Fd()))
	for _, d := range s.staged {
		d.waiter.Done()
	}
	s.staged = s.staged[:0]
}

func BenchmarkSelf(b *testing.B) {
	f, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	f.Write(make([]byte, 1<<20))
	f.Sync()
	b.Run("raw", func(b *testing.B) {
		buf := make([]byte, 4096)
		for b.Loop() {
			f.WriteAt(buf, 0)
			unix.Fdatasync(int(f.Fd()))
		}
	})
	for _, clients := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			d := &selfSync{f: f, buf: make([]byte, 4096)}
			r, err := New(&Options{Cores: 1, NewDriver: func(core int) Driver { return d }})
			if err != nil {
				b.Fatal(err)
			}
			core, ctx := r.Core(0), b.Context()
			var cpu0, cpu1 unix.Rusage
			unix.Getrusage(unix.RUSAGE_SELF, &cpu0)
			runClients(b, clients, func() func() {
				t := &selfTask{driver: d}
				return func() {
					if err := core.Submit(t); err != nil {
						b.Error(err)
					}
					t.waiter.Wait(ctx)
				}
			})
			unix.Getrusage(unix.RUSAGE_SELF, &cpu1)
			b.ReportMetric(float64(cpu1.Utime.Nano()+cpu1.Stime.Nano()-cpu0.Utime.Nano()-cpu0.Stime.Nano())/float64(b.Elapsed().Nanoseconds())*100, "cpu%")
			b.ReportMetric(float64(core.Metrics().Parks)/float64(b.N), "parks/op")
			r.Close(ctx)
		})
	}
}
