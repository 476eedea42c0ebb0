package pitr

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/nodedb-go/nodedb/wal"
)

// Restore(L) is the model at L: for random histories, segment sizes, bases,
// epochs and timelines, and any L of any of them. Laws 4 and 9.
func TestRestoreIsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newKit(rt, t.Context(), newMemStore())
		l := k.begin()
		randomLife(rt, k, l)
		for n := rapid.IntRange(0, 3).Draw(rt, "forks"); n > 0; n-- {
			fork := randomPosition(rt, k)
			fs, res := k.mustRestore(Target{LSN: fork.LSN, Timeline: fork.Timeline}, nil)
			randomLife(rt, k, k.adopt(fs, "/data/node", res))
		}
		for range 3 {
			at := randomPosition(rt, k)
			_, res := k.mustRestore(Target{LSN: at.LSN, Timeline: at.Timeline}, randomOptions(rt))
			if res.Reached.LSN != at.LSN || res.Reached.Timeline != at.Timeline {
				rt.Fatalf("reached %v, want %v", res.Reached, at)
			}
		}
	})
}

// randomLife writes, seals, takes bases and restarts; all of it is archived.
func randomLife(rt *rapid.T, _ *kit, l *life) {
	randomSteps(rt, l)
	l.put("end", "of life")
	l.end()
}

func randomSteps(rt *rapid.T, l *life) {
	seq := 0
	for range rapid.IntRange(1, 12).Draw(rt, "steps") {
		seq++
		key := fmt.Sprintf("k%d", rapid.IntRange(0, 9).Draw(rt, "key"))
		switch rapid.IntRange(0, 9).Draw(rt, "step") {
		case 0, 1, 2:
			l.put(key, fmt.Sprintf("v%d", seq))
		case 3:
			l.del(key)
		case 4, 5:
			l.puts(rapid.IntRange(1, 30).Draw(rt, "puts"), key, fmt.Sprintf("w%d", seq))
		case 6:
			l.seal()
		case 7:
			if l.last >= l.epoch.FirstLSN {
				l.base()
			}
		case 8:
			l.restart()
		case 9:
			if l.last >= l.epoch.FirstLSN {
				l.publish()
			}
		}
	}
}

func randomPosition(rt *rapid.T, k *kit) Position {
	var newest wal.Timeline
	last := make(map[wal.Timeline]wal.LSN)
	first := make(map[wal.Timeline]wal.LSN)
	for p := range k.model {
		newest = max(newest, p.Timeline)
		last[p.Timeline] = max(last[p.Timeline], p.LSN)
		if f, ok := first[p.Timeline]; !ok || p.LSN < f {
			first[p.Timeline] = p.LSN
		}
	}
	tl := wal.Timeline(rapid.Uint32Range(1, uint32(newest)).Draw(rt, "timeline"))
	lsn := rapid.Uint64Range(uint64(first[tl]), uint64(last[tl])).Draw(rt, "lsn")
	return Position{Timeline: tl, LSN: wal.LSN(lsn)}
}

func randomOptions(rt *rapid.T) *Options {
	return &Options{
		Parallel:    rapid.IntRange(1, 4).Draw(rt, "parallel"),
		Workers:     rapid.IntRange(1, 4).Draw(rt, "workers"),
		MemoryBytes: rapid.SampledFrom([]int64{1, 3 << 20, 64 << 20}).Draw(rt, "memory"),
		ReplayBytes: 1 << 20,
	}
}
