package tpc

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// affinities counts the process's threads per list of allowed CPUs.
func affinities(t *testing.T) map[string]int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(files) == 0 {
		t.Fatalf("list threads: %v, %d found", err, len(files))
	}
	count := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has exited meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				count[strings.TrimSpace(list)]++
			}
		}
	}
	return count
}

// Cores are pinned where Options.Pin says, no other thread inherits a mask, and
// when the runtime is closed the pinned threads are gone.
func TestPinnedThreadsDoNotLeak(t *testing.T) {
	cpus, err := allowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	before := affinities(t)
	r := newRuntime(t, &Options{Cores: 2 * len(cpus), Pin: true})
	for i := range r.Cores() {
		var on []int
		if err := r.Core(i).Do(t.Context(), func(*Core) (err error) { on, err = allowedCPUs(); return err }); err != nil {
			t.Fatal(err)
		}
		if len(on) != 1 || on[0] != cpus[i%len(cpus)] {
			t.Errorf("core %d may run on %v, want %d", i, on, cpus[i%len(cpus)])
		}
	}
	// Tasks start goroutines from pinned threads, which block in system calls, so
	// that the Go runtime needs new threads while pinned ones are running.
	const blocked = 16
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	var wg, reading sync.WaitGroup
	for i := range blocked {
		wg.Add(1)
		reading.Add(1)
		r.Core(i%r.Cores()).Do(t.Context(), func(*Core) error {
			go func() {
				defer wg.Done()
				reading.Done()
				var b [1]byte
				unix.Read(fds[0], b[:])
			}()
			return nil
		})
	}
	reading.Wait()
	whole, pinned := 0, 0
	for list, n := range affinities(t) {
		if _, was := before[list]; was && len(cpus) > 1 {
			whole += n
		} else {
			pinned += n
		}
	}
	if len(cpus) > 1 && pinned != r.Cores() {
		t.Errorf("%d threads are pinned, want the %d cores' (others: %d)", pinned, r.Cores(), whole)
	}
	unix.Close(fds[1])
	wg.Wait()
	unix.Close(fds[0])
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The thread ends a moment after its goroutine.
	deadline := time.Now().Add(patience)
	for {
		left := 0
		for list, n := range affinities(t) {
			if _, was := before[list]; !was {
				left += n
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pinned threads outlive the runtime", left)
		}
		runtime.Gosched()
	}
}

// The threads of cores are gone with the runtime, pinned or not, and so are the
// eventfds.
func TestCloseLeavesNothing(t *testing.T) {
	files := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	cycle := func() {
		r := newRuntime(t, &Options{Cores: 4})
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	before := files()
	for range 10 {
		cycle()
	}
	if after := files(); after > before {
		t.Errorf("%d files open, %d before", after, before)
	}
}
