package servertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/minio/minio-go/v7/pkg/notification"
)

const (
	batchMax    = 10
	receivesMax = 5
)

// queue is what a queue does between a bucket and a function.
type queue struct {
	mu      sync.Mutex
	arrived sync.Cond
	waiting []events.SQSMessage
	keys    map[string]bool // of the objects that messages named
	n       int
}

func newQueue() *queue {
	q := &queue{keys: map[string]bool{}}
	q.arrived.L = &q.mu
	return q
}

// put takes an event.
func (q *queue) put(body string) {
	var e notification.Info
	if json.Unmarshal([]byte(body), &e) != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range e.Records {
		if key, err := url.QueryUnescape(r.S3.Object.Key); err == nil {
			q.keys[key] = true
		}
	}
	q.n++
	q.waiting = append(q.waiting, events.SQSMessage{MessageId: fmt.Sprintf("m%d", q.n), Body: body})
	q.arrived.Broadcast()
}

// await waits until messages have named all keys.
func (q *queue) await(keys []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for slices.ContainsFunc(keys, func(k string) bool { return !q.keys[k] }) {
		q.arrived.Wait()
	}
}

// faults makes of what waits what a bad day makes of it: some messages are lost,
// at least one that loses reports, some come again, and all in another order.
func (q *queue) faults(rnd *rand.Rand, loses func(body string) bool) (lost, again int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []events.SQSMessage
	for _, m := range q.waiting {
		if loses(m.Body) && (lost == 0 || rnd.IntN(3) == 0) {
			lost++
			continue
		}
		out = append(out, m)
		if again == 0 || rnd.IntN(3) == 0 {
			again++
			out = append(out, m)
		}
	}
	rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	q.waiting = out
	return lost, again
}

// deliver gives all that waits to f, in batches, and again what f gives back. It
// tells how many batches there were.
func (q *queue) deliver(t *testing.T, f *function) (batches int) {
	t.Helper()
	received := map[string]int{}
	for ; ; batches++ {
		q.mu.Lock()
		n := min(batchMax, len(q.waiting))
		batch := events.SQSEvent{Records: q.waiting[:n:n]}
		q.waiting = q.waiting[n:]
		q.mu.Unlock()
		if n == 0 {
			return batches
		}
		var answer events.SQSEventResponse
		f.invoke(t, &batch, &answer)
		for _, failed := range answer.BatchItemFailures {
			if received[failed.ItemIdentifier]++; received[failed.ItemIdentifier] > receivesMax {
				t.Fatalf("message %s is given back again and again:\n%s", failed.ItemIdentifier, f.log())
			}
			at := slices.IndexFunc(batch.Records, func(m events.SQSMessage) bool { return m.MessageId == failed.ItemIdentifier })
			q.mu.Lock()
			q.waiting = append(q.waiting, batch.Records[at])
			q.mu.Unlock()
		}
	}
}
