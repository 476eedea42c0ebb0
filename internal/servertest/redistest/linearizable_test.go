package redistest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

var (
	kills = flag.Int("kills", 3, "how often the node is killed under its clients")
	seed  = flag.Uint64("seed", 0, "of what the clients do; 0 draws one")
)

// What concurrent clients see of a node that is killed again and again is what one
// Redis without crashes could have answered. An operation whose answer was lost may
// have happened or not.
func TestLinearizable_Kill(t *testing.T) {
	const clients, perKill = 6, 400
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("go test ./redistest -run %s -kills %d -seed %d", t.Name(), *kills, *seed)
	h := &harness{t: t, dir: t.TempDir(), began: time.Now(), ended: make(chan bool, 1)}
	h.served = launch(t, h.dir)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() { h.client(ctx, id, rand.New(rand.NewPCG(*seed, uint64(id)))) })
	}
	for range *kills {
		h.count(perKill)
		h.restart()
	}
	h.count(perKill)
	stop()
	go func() {
		for range h.ended { // who waits to be counted
		}
	}()
	wg.Wait()
	close(h.ended)
	if err := h.served.kill(); err != nil {
		t.Error(err)
	}
	unknown := 0
	for _, op := range h.history {
		if op.Output.(output).unknown {
			unknown++
		}
	}
	t.Logf("%d operations, %d of unknown outcome", len(h.history), unknown)
	result, info := porcupine.CheckOperationsVerbose(model, h.history, time.Minute)
	if result == porcupine.Ok {
		return
	}
	picture := filepath.Join(t.ArtifactDir(), "history.html")
	err := porcupine.VisualizePath(model, info, picture)
	t.Errorf("the history is %s; see %s (kept with -artifacts), %v", result, picture, err)
}

// harness is a served node that its clients find again after a kill.
type harness struct {
	t     *testing.T
	dir   string
	began time.Time
	ended chan bool // one for each operation

	up     sync.RWMutex // written while the node is down
	served *process

	mu      sync.Mutex
	history []porcupine.Operation
}

// count waits for so many operations.
func (h *harness) count(n int) {
	for range n {
		<-h.ended
	}
}

func (h *harness) restart() {
	h.up.Lock()
	defer h.up.Unlock()
	if err := h.served.kill(); err != nil {
		h.t.Error(err)
	}
	h.served = launch(h.t, h.dir)
}

func (h *harness) dial() *redis.Client {
	h.up.RLock()
	defer h.up.RUnlock()
	return redis.NewClient(&redis.Options{Addr: h.served.addr, MaxRetries: -1, DialerRetries: 1, PoolSize: 1})
}

// client works until ctx ends. What is under way is never cancelled: that would be
// one more unknown outcome.
func (h *harness) client(ctx context.Context, id int, rnd *rand.Rand) {
	c := h.dial()
	defer func() { _ = c.Close() }()
	for n := 0; ctx.Err() == nil; n++ {
		in := input{key: fmt.Sprint("k", rnd.IntN(4)), new: strconv.Itoa(id*1_000_000 + n)}
		in.verb = []string{"GET", "GET", "SET", "INCR", "INCR", "DEL", "CAS", "CAS"}[rnd.IntN(8)]
		if !h.run(c, id, in) {
			_ = c.Close()
			c = h.dial()
		}
		h.ended <- true
	}
}

// run does one operation and notes it; false when its answer was lost.
func (h *harness) run(c *redis.Client, id int, in input) bool {
	ctx := context.Background()
	call := time.Since(h.began)
	var out output
	var err error
	switch in.verb {
	case "GET":
		out.value, err = c.Get(ctx, in.key).Result()
	case "SET":
		err = c.Set(ctx, in.key, in.new, 0).Err()
	case "INCR":
		var n int64
		n, err = c.Incr(ctx, in.key).Result()
		out.value = strconv.FormatInt(n, 10)
	case "DEL":
		var n int64
		n, err = c.Del(ctx, in.key).Result()
		out.value = strconv.FormatInt(n, 10)
	case "CAS":
		err = swap(ctx, c, &in)
	}
	back := time.Since(h.began)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if errors.Is(err, redis.TxFailedErr) { // it did not happen, and says nothing of when
		return true
	}
	if out.unknown = err != nil; out.unknown {
		back = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, porcupine.Operation{ClientId: id, Input: in, Call: int64(call), Output: out, Return: int64(back)})
	return err == nil
}

// swap is a compare-and-swap of what it reads.
func swap(ctx context.Context, c *redis.Client, in *input) error {
	return c.Watch(ctx, func(tx *redis.Tx) (err error) {
		if in.old, err = tx.Get(ctx, in.key).Result(); err != nil && !errors.Is(err, redis.Nil) {
			in.new = in.old // nothing was sent that changes anything
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			return p.Set(ctx, in.key, in.new, 0).Err()
		})
		return err
	}, in.key)
}
