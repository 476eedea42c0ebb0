package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// statFile is the counter file of the block device below the data, empty when
// there is none.
var statFile atomic.Value

// watchDevice finds the device below dir.
func watchDevice(dir string) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return
	}
	base := fmt.Sprintf("/sys/dev/block/%d:%d/", unix.Major(st.Dev), unix.Minor(st.Dev))
	for _, name := range []string{base + "../stat", base + "stat"} { // a partition's disk counts the flushes
		if strings.HasSuffix(name, "../stat") {
			if _, err := os.Stat(base + "partition"); err != nil {
				continue
			}
		}
		if _, err := os.Stat(name); err == nil {
			statFile.Store(name)
			return
		}
	}
}

// deviceFlushes is how many cache flushes the device has completed since boot,
// 0 when it does not count them.
func deviceFlushes() int64 {
	name, _ := statFile.Load().(string)
	if name == "" {
		return 0
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 16 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[15], 10, 64)
	return n
}

// processCPU is the CPU time of this process, user and system.
func processCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentBytes gives the memory of this process now and at its peak.
func residentBytes() (now, peak int64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(b) {
		var to *int64
		switch {
		case bytes.HasPrefix(line, []byte("VmRSS:")):
			to = &now
		case bytes.HasPrefix(line, []byte("VmHWM:")):
			to = &peak
		default:
			continue
		}
		if f := bytes.Fields(line); len(f) > 1 {
			kib, _ := strconv.ParseInt(string(f[1]), 10, 64)
			*to = kib << 10
		}
	}
	return now, peak
}

// settle waits until the process has come to rest: below 5% of a CPU for 200 ms,
// or the limit is over.
func settle(limit time.Duration) {
	const window = 100 * time.Millisecond
	deadline, calm := time.Now().Add(limit), 0
	for calm < 2 && time.Now().Before(deadline) {
		before := processCPU()
		time.Sleep(window)
		if processCPU()-before < window/20 {
			calm++
		} else {
			calm = 0
		}
	}
}

// profileInto writes a CPU profile to a file until stop is called.
func profileInto(name string) (stop func(), err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("make profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile cut short says so when it is read
	}, nil
}

// machine describes where the numbers come from.
var machine = sync.OnceValue(func() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	model := "unknown CPU"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, Linux %s", model, unix.ByteSliceToString(u.Release[:]))
})
