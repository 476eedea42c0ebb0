package watch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/lambda/index"
)

func listenTo(t *testing.T, answer http.HandlerFunc) *Bucket {
	t.Helper()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_CONFIG_FILE": t.TempDir() + "/none"} {
		t.Setenv(k, v)
	}
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	b, err := OpenBucket(t.Context(), "s3://backup/team+a?endpoint="+url.QueryEscape(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A stream of events tells that it is there, and then plain keys.
func TestBucketListen(t *testing.T) {
	b := listenTo(t, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.URL.Path != "/backup/" || q.Get("prefix") != "team+a/" || q.Get("events") != "s3:ObjectCreated:*" ||
			!strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=a/") {
			t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintln(w, `{"Records":null}`)
		fmt.Fprintln(w, `{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"backup"},"object":{"key":"team+a/x%20","size":7}}}]}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ups, heard := 0, make(chan index.Change, 1)
	err := b.Listen(ctx, func() {
		if ups++; len(heard) > 0 {
			cancel()
		}
	}, func(c index.Change) {
		if heard <- c; ups > 0 {
			cancel()
		}
	})
	if len(heard) == 0 {
		t.Fatalf("heard nothing: %v", err)
	}
	want := index.Change{Bucket: "backup", Key: "team+a/x%20", Size: 7, Created: true}
	if got := <-heard; got != want || ups != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("heard %+v after %d connections, %v", got, ups, err)
	}
}

// Servers that cannot are told from those that do not now, and from a connection
// that is dead without saying so.
func TestBucketRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		never  bool
	}{
		{"a listing instead", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
		}, true},
		{"not implemented", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) }, true},
		{"denied", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, false},
		{"silent", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := listenTo(t, c.answer)
			b.silence = 50 * time.Millisecond
			err := b.Listen(t.Context(), func() {}, func(index.Change) {})
			if err == nil || errors.Is(err, ErrNoNotifications) != c.never {
				t.Errorf("%v, for ever: %v", err, c.never)
			}
		})
	}
}

func TestOpenBucket(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	for _, u := range []string{"file:///backup", "mem://", "gs://b", "s3://b?region=eu-central-1",
		"s3://b?region=eu-central-1&endpoint=https://s3.eu-central-1.amazonaws.com"} {
		if _, err := OpenBucket(t.Context(), u); !errors.Is(err, ErrNoNotifications) {
			t.Errorf("%s: %v", u, err)
		}
	}
}
