package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// model is a log as a list: what a log must be, whatever is done to it.
type model struct {
	fs        *vfs.MemFS
	log       *Log
	want      [][]byte // payload of LSN i+1
	truncated LSN      // everything up to here may be gone
	epoch     Epoch
}

func (m *model) open(t *rapid.T) {
	l, err := Open("wal", scenarioOptions(m.fs))
	if err != nil {
		t.Fatal(err)
	}
	m.log = l
	if m.epoch++; rapid.Bool().Draw(t, "start") {
		if err := l.Start(1, m.epoch); err != nil {
			t.Fatal(err)
		}
	}
}

// Law 1, law 11: any sequence of appends, seals, truncations, restarts and
// crashes leaves what a list would hold.
func TestLogAsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fs: vfs.NewCrashableMem()}
		m.open(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":   m.append,
			"append2":  m.append,
			"seal":     m.seal,
			"truncate": m.truncate,
			"restart": func(t *rapid.T) {
				if err := m.log.Close(); err != nil {
					t.Fatal(err)
				}
				m.open(t)
			},
			"crash": m.crash,
			"":      m.check,
		})
	})
}

func (m *model) append(t *rapid.T) {
	a := m.log.NewAppender(nil)
	for range rapid.IntRange(1, 2).Draw(t, "batches") {
		var b Batch
		for range rapid.IntRange(1, 4).Draw(t, "records") {
			n := rapid.SampledFrom([]int{0, 1, 100, 1000, 9000}).Draw(t, "bytes")
			p := bytes.Repeat([]byte{byte(len(m.want))}, n)
			if err := b.Add(64, 0, 0, nil, p); err != nil {
				t.Fatal(err)
			}
			m.want = append(m.want, p)
		}
		if _, _, err := a.Append(&b); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.log.Wait(bgCtx, LSN(len(m.want))); err != nil {
		t.Fatal(err)
	}
}

func (m *model) seal(t *rapid.T) {
	if _, _, err := m.log.Seal(bgCtx); err != nil {
		t.Fatal(err)
	}
}

func (m *model) truncate(t *rapid.T) {
	upTo := LSN(rapid.IntRange(0, len(m.want)+1).Draw(t, "upTo"))
	if _, err := m.log.Truncate(upTo); err != nil {
		t.Fatal(err)
	}
	m.truncated = max(m.truncated, min(upTo, LSN(len(m.want))))
}

// crash may tear an append that nobody waited for.
func (m *model) crash(t *rapid.T) {
	a := m.log.NewAppender(nil)
	torn := rapid.Bool().Draw(t, "pending append")
	if torn {
		var b Batch
		if err := b.Add(64, 0, 0, nil, []byte("not acknowledged")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Append(&b); err != nil {
			t.Fatal(err)
		}
		m.log.Kick()
	}
	percent := rapid.SampledFrom(crashes).Draw(t, "kept")
	seed := rapid.Uint64().Draw(t, "seed")
	m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 0))})
	_ = m.log.Close() // on the file system that is no more
	m.open(t)
	if torn && m.log.Appended() == LSN(len(m.want)+1) {
		m.want = append(m.want, []byte("not acknowledged"))
	}
}

func (m *model) check(t *rapid.T) {
	if got := m.log.Appended(); got != LSN(len(m.want)) {
		t.Fatalf("appended %d, want %d", got, len(m.want))
	}
	r := m.log.NewReader(0)
	defer r.Close()
	var first, last LSN
	for {
		rec, err := r.Next()
		if isEOF(err) {
			break
		}
		if err == nil && first != 0 && rec.LSN != last+1 {
			err = fmt.Errorf("LSN %d after %d", rec.LSN, last)
		}
		if err == nil && !bytes.Equal(rec.Payload, m.want[rec.LSN-1]) {
			err = fmt.Errorf("payload of LSN %d differs", rec.LSN)
		}
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = rec.LSN
		}
		last = rec.LSN
	}
	if first > m.truncated+1 || (first == 0 && m.truncated < LSN(len(m.want))) || (first != 0 && last != LSN(len(m.want))) {
		t.Fatalf("records %d to %d of %d, truncated up to %d", first, last, len(m.want), m.truncated)
	}
}
