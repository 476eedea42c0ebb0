package tpc

import (
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type numbered struct {
	header   Header
	from, nr int
}

func (n *numbered) Header() *Header { return &n.header }
func (n *numbered) Run(*Core)       {}
func (n *numbered) Fail(error)      {}

func numbers(from, to int) (tasks []Task) {
	for nr := from; nr < to; nr++ {
		tasks = append(tasks, &numbered{nr: nr})
	}
	return tasks
}

func popAll(r *ring) (nrs []int) {
	for t := r.pop(); t != nil; t = r.pop() {
		nrs = append(nrs, t.(*numbered).nr)
	}
	return nrs
}

// Law 13: a queue has a limit and says so when it is reached.
func TestRingIsBounded(t *testing.T) {
	r := newRing(4)
	for lap := range 3 {
		for i, task := range numbers(0, 4) {
			if got := r.push(task); got != pushed {
				t.Fatalf("lap %d, push %d = %v, want pushed", lap, i, got)
			}
		}
		if got := r.push(&numbered{}); got != pushFull {
			t.Fatalf("push to a full ring = %v, want full", got)
		}
		if n, got := r.pushAll(numbers(0, 2)); n != 0 || got != pushFull {
			t.Fatalf("pushAll to a full ring = %d, %v, want 0, full", n, got)
		}
		if diff := cmp.Diff([]int{0, 1, 2, 3}, popAll(r)); diff != "" {
			t.Fatalf("popped (-want +got):\n%s", diff)
		}
	}
}

func TestRingLengthIsRoundedUp(t *testing.T) {
	for length, want := range map[int]int{1: 1, 2: 2, 3: 4, 1000: 1024, 1024: 1024} {
		if got := len(newRing(length).slots); got != want {
			t.Errorf("newRing(%d) holds %d, want %d", length, got, want)
		}
	}
}

func TestRingPushAllTakesWhatFits(t *testing.T) {
	r := newRing(8)
	r.push(&numbered{nr: 100})
	var got []int
	tasks := numbers(0, 20)
	n, res := r.pushAll(tasks)
	if n == 0 || res != pushed {
		t.Fatalf("pushAll = %d, %v", n, res)
	}
	for m := n; m > 0; n += m {
		m, _ = r.pushAll(tasks[n:])
	}
	if n != 7 {
		t.Errorf("accepted %d beside one, want 7", n)
	}
	got = popAll(r)
	if diff := cmp.Diff([]int{100, 0, 1, 2, 3, 4, 5, 6}, got); diff != "" {
		t.Errorf("popped (-want +got):\n%s", diff)
	}
	if r.depth() != 8 {
		t.Errorf("depth before publish = %d, want 8", r.depth())
	}
	r.publish()
	if r.depth() != 0 {
		t.Errorf("depth = %d, want 0", r.depth())
	}
}

func TestRingGate(t *testing.T) {
	r := newRing(4)
	r.push(&numbered{nr: 7})
	r.close()
	r.close()
	if got := r.push(&numbered{}); got != pushClosed {
		t.Errorf("push = %v, want closed", got)
	}
	if n, got := r.pushAll(numbers(0, 2)); n != 0 || got != pushClosed {
		t.Errorf("pushAll = %d, %v, want 0, closed", n, got)
	}
	if r.drained() {
		t.Error("drained with a task in it")
	}
	if diff := cmp.Diff([]int{7}, popAll(r)); diff != "" {
		t.Errorf("popped (-want +got):\n%s", diff)
	}
	if !r.drained() {
		t.Error("not drained when empty")
	}
}

// Every producer's tasks come out once and in its order, and exactly those whose
// push was accepted before the gate shut.
func TestRingManyProducers(t *testing.T) {
	const producers, each = 8, 5000
	r := newRing(64)
	accepted := make([]int, producers)
	var wg sync.WaitGroup
	for from := range producers {
		wg.Go(func() {
			for nr := 0; nr < each; {
				batch := []Task{&numbered{from: from, nr: nr}, &numbered{from: from, nr: nr + 1}, &numbered{from: from, nr: nr + 2}}
				var n int
				var res pushResult
				if from%2 == 0 {
					n, res = r.pushAll(batch)
				} else if res = r.push(batch[0]); res == pushed {
					n = 1
				}
				nr += n
				accepted[from] = nr
				if res == pushClosed {
					return
				}
				if res == pushFull {
					runtime.Gosched()
				}
			}
		})
	}
	next := make([]int, producers)
	total := 0
	for !r.drained() {
		task := r.pop()
		if task == nil {
			runtime.Gosched()
			continue
		}
		n := task.(*numbered)
		if n.nr != next[n.from] {
			t.Fatalf("producer %d: got task %d, want %d", n.from, n.nr, next[n.from])
		}
		next[n.from]++
		if total++; total == producers*each/2 {
			r.close()
		}
	}
	wg.Wait()
	if diff := cmp.Diff(accepted, next); diff != "" {
		t.Errorf("accepted against delivered (-accepted +delivered):\n%s", diff)
	}
}
