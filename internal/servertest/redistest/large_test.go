package redistest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

var large = flag.Int("large", 4, "values of TestLargeValues")

// Values of almost 16 MiB, which is the most, go in and out of a process.
func TestLargeValues(t *testing.T) {
	const size, most = 16<<20 - 256<<10, 768 << 20
	p := launch(t, t.TempDir())
	defer func() {
		if err := p.kill(); err != nil {
			t.Error(err)
		}
	}()
	c := goRedis(t, redis.Options{Addr: p.addr, ReadTimeout: -1, MaxRetries: -1})
	before := peakMemory(t, p.cmd.Process.Pid)
	value := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for i := range *large {
		value[i] = '!'
		key := fmt.Sprint("big", i)
		if err := c.Set(t.Context(), key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		got, err := c.Get(t.Context(), key).Bytes()
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%s: %d bytes, %v", key, len(got), err)
		}
	}
	grown := peakMemory(t, p.cmd.Process.Pid) - before
	t.Logf("%d values of %d bytes in and out: the process grew by %d MiB", *large, size, grown>>20)
	if grown > most {
		t.Errorf("the process grew by %d MiB", grown>>20)
	}
	if err := c.Set(t.Context(), "more", append(value, make([]byte, 1<<20)...), 0).Err(); err == nil {
		t.Error("more than 16 MiB are accepted")
	}
}

// peakMemory is the most that a process had resident, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("the kernel tells nothing of processes: ", err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
