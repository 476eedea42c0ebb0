package servertest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/notification"
)

// hooks is where MinIO posts the events of all buckets. Whoever wants those of a
// bucket takes them.
type hooks struct {
	server http.Server
	addr   string

	mu    sync.Mutex
	takes map[string]func(body string) // by bucket
}

// hook is shared by all tests, as the server that posts to it is.
var hook *hooks

func startHooks() (*hooks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hooks{addr: l.Addr().String(), takes: map[string]func(string){}}
	h.server.Handler = h
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

// env makes MinIO post to it.
func (h *hooks) env() []string {
	return []string{"MINIO_NOTIFY_WEBHOOK_ENABLE_T=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_T=http://" + h.addr + "/"}
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var e notification.Info
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || len(e.Records) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	take := h.takes[e.Records[0].S3.Bucket.Name]
	h.mu.Unlock()
	if take != nil {
		take(string(body))
	}
}

// of has the events of a bucket sent to take until the test ends.
func (h *hooks) of(t *testing.T, bucket string, take func(body string)) {
	t.Helper()
	h.mu.Lock()
	h.takes[bucket] = take
	h.mu.Unlock()
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.takes, bucket)
	})
	c := notification.NewConfig(notification.NewArn("minio", "sqs", "", "T", "webhook"))
	c.AddEvents(notification.ObjectCreatedAll)
	var all notification.Configuration
	all.AddQueue(c)
	// MinIO serves buckets before it knows where it may post.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := client(t).SetBucketNotification(ctx, bucket, all)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("have the bucket's events posted: %v", err)
		}
	}
}
