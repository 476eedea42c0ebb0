package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// side is one engine in a child process. What else it can do it says by the
// interfaces below. Methods with a client number are called by many clients at
// once, the others by one goroutine while no client runs.
type side interface {
	// open makes or opens the data in dir. Options are those of the engine.
	open(dir string, options map[string]string) error
	close() error
}

// putter stores a key; on return it is durable.
type putter interface {
	put(client int, key, value []byte) error
}

// getter reads a key that must exist.
type getter interface {
	get(client int, key, want []byte) error
}

// loader stores keys number from up to but not including to, fast, and brings
// the result to rest on disk before it returns.
type loader interface {
	load(from, to int) error
}

// warmer writes until the engine works at its steady rate.
type warmer interface {
	warm() error
}

// compactor brings what is stored into the best shape for reads.
type compactor interface {
	compact() error
}

// rotator prepares for the next slice of raw appends.
type rotator interface {
	rotate() error
}

// appender adds a record to a bare log; on return it is durable.
type appender interface {
	append(client int, record []byte) error
}

// hopper goes through a core and back n times, for one client.
type hopper interface {
	hop(n int) error
}

// checkpointer runs one checkpoint.
type checkpointer interface {
	checkpoint() error
}

// archiver can wait until all it has logged is archived.
type archiver interface {
	archived() error
}

// sealer makes the object that an archive stores of a segment, and gives its
// content and its size in bytes.
type sealer interface {
	seal() (content, stored int64, err error)
}

// logSizer knows how many bytes of log it holds.
type logSizer interface {
	logBytes() int64
}

// sides makes an engine by the name that calls use.
var sides = map[string]func() side{
	"badger":         func() side { return new(badgerSide) },
	"bbolt":          func() side { return new(bboltSide) },
	"core":           func() side { return new(coreSide) },
	"goleveldb":      func() side { return new(goleveldbSide) },
	"node":           func() side { return new(nodeSide) },
	"parking core":   func() side { return new(parkingSide) },
	"pebble":         func() side { return new(pebbleSide) },
	"pipeline":       func() side { return new(pipelineSide) },
	"pebble LogData": func() side { return new(pebbleLogSide) },
	"raft-wal":       func() side { return new(raftWALSide) },
	"replay":         func() side { return replaySide{} },
	"restore":        func() side { return restoreSide{} },
	"wal":            func() side { return new(walSide) },
	"zstd":           func() side { return new(zstdSide) },
}

// call is one request to a child.
type call struct {
	Op      string            `json:"op"`
	Dir     string            `json:"dir,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	Clients int               `json:"clients,omitempty"`
	Keys    int               `json:"keys,omitempty"` // keys are numbered 0 to Keys-1
	From    int               `json:"from,omitempty"`
	Seconds float64           `json:"seconds,omitempty"`
	Lead    float64           `json:"lead,omitempty"` // seconds of the same before the slice begins
	Rate    float64           `json:"rate,omitempty"` // open loop: operations per second
	Seed    uint64            `json:"seed,omitempty"`
	Profile string            `json:"profile,omitempty"` // file for a CPU profile of this call
}

// reply is the answer. Error is empty when all went well.
type reply struct {
	Error  string `json:"error,omitempty"`
	Sample sample `json:"sample"`
}

// serve answers one call with the side of this process.
func serve(s side, c call) (sample, error) {
	switch c.Op {
	case "open":
		watchDevice(c.Dir)
		return timed(func() error { return s.open(c.Dir, c.Options) })
	case "close":
		return timed(s.close)
	case "settle":
		settle(10 * time.Second)
		return sample{}, nil
	case "idle":
		return idle(c.Seconds), nil
	case "warm":
		if w, ok := s.(warmer); ok {
			return timed(w.warm)
		}
		return sample{}, nil
	case "compact":
		if r, ok := s.(compactor); ok {
			return timed(r.compact)
		}
		return sample{}, nil
	case "rotate":
		if r, ok := s.(rotator); ok {
			return timed(r.rotate)
		}
		return sample{}, nil
	case "load":
		return with(s, func(s loader) (sample, error) {
			return timed(func() error { return s.load(c.From, c.Keys) })
		})
	case "archived":
		return with(s, func(s archiver) (sample, error) { return timed(s.archived) })
	}
	return serveLoad(s, c)
}

// serveLoad answers the calls in which clients do something.
func serveLoad(s side, c call) (sample, error) {
	if c.Profile != "" {
		stop, err := profileInto(c.Profile)
		if err != nil {
			return sample{}, err
		}
		defer stop()
	}
	l := load{clients: max(c.Clients, 1), seconds: c.Seconds, rate: c.Rate, seed: c.Seed}
	keys := uint64(max(c.Keys, 1))
	switch c.Op {
	case "put":
		return with(s, func(s putter) (sample, error) {
			if c.Lead > 0 {
				lead := l
				lead.seconds = c.Lead
				if sam, err := runPuts(s, lead, keys); err != nil {
					return sam, err
				}
			}
			return runPuts(s, l, keys)
		})
	case "put-checkpoint":
		return with(s, func(s putter) (sample, error) { return runCheckpoints(s, l, keys) })
	case "fill":
		sam, err := with(s, func(s putter) (sample, error) { return fill(s, c.From, c.Keys, l.clients) })
		if z, ok := s.(logSizer); ok {
			sam.LogBytes = z.logBytes()
		}
		return sam, err
	case "get":
		return with(s, func(s getter) (sample, error) { return runGets(s, l, keys) })
	case "append":
		return with(s, func(s appender) (sample, error) {
			return l.run(func(client int, rng *rand.Rand) (int, error) {
				at := rng.IntN(1 << 19)
				return 1, s.append(client, pool()[at:at+keyBytes+valueBytes])
			})
		})
	case "seal":
		return with(s, func(s sealer) (sample, error) { return runSeals(s, l) })
	case "hop":
		l.clients = 1
		return with(s, func(s hopper) (sample, error) {
			return l.run(func(int, *rand.Rand) (int, error) { return 16, s.hop(16) })
		})
	}
	return sample{}, fmt.Errorf("unknown op %q", c.Op)
}

// with runs f when the side can do what f needs.
func with[T any](s side, f func(T) (sample, error)) (sample, error) {
	t, ok := s.(T)
	if !ok {
		return sample{}, fmt.Errorf("%T cannot do this", s)
	}
	return f(t)
}

// timed runs f once, as one operation.
func timed(f func() error) (sample, error) {
	flushes, cpu, began := deviceFlushes(), processCPU(), time.Now()
	err := f()
	s := sample{Ops: 1, Elapsed: time.Since(began), CPU: processCPU() - cpu, Flushes: deviceFlushes() - flushes}
	s.RSS, s.RSSMax = residentBytes()
	return s, err
}

// idle does nothing and looks at what the process does meanwhile.
func idle(seconds float64) sample {
	cpu, began := processCPU(), time.Now()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	s := sample{Elapsed: time.Since(began), CPU: processCPU() - cpu}
	s.RSS, s.RSSMax = residentBytes()
	return s
}

func runPuts(s putter, l load, keys uint64) (sample, error) {
	bufs := make([][keyBytes]byte, l.clients)
	return l.run(func(client int, rng *rand.Rand) (int, error) {
		key := bufs[client][:]
		mixKey(key, rng.Uint64N(keys))
		return 1, s.put(client, key, valueOf(rng.Uint64()))
	})
}

func runGets(s getter, l load, keys uint64) (sample, error) {
	bufs := make([][keyBytes]byte, l.clients)
	return l.run(func(client int, rng *rand.Rand) (int, error) {
		i := rng.Uint64N(keys)
		key := bufs[client][:]
		mixKey(key, i)
		return 1, s.get(client, key, valueOf(i))
	})
}

// fill stores every key from up to to once, each durable, and measures the whole.
func fill(s putter, from, to, clients int) (sample, error) {
	return timed(func() error {
		errs := make(chan error, clients)
		for c := range clients {
			go func() {
				var key [keyBytes]byte
				for i := from + c; i < to; i += clients {
					mixKey(key[:], uint64(i))
					if err := s.put(c, key[:], valueOf(uint64(i))); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		all := make([]error, 0, clients)
		for range clients {
			all = append(all, <-errs)
		}
		if i := slices.IndexFunc(all, func(err error) bool { return err != nil }); i >= 0 {
			return all[i]
		}
		return nil
	})
}
