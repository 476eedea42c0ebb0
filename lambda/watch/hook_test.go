package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
	"github.com/nodedb-go/nodedb/lambda/watch"
)

// event is what MinIO posts.
func event(keys ...string) string {
	var records []string
	for _, k := range keys {
		records = append(records, fmt.Sprintf(`{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":%q,"size":9}}}`,
			strings.ReplaceAll(k, "/", "%2F")))
	}
	return `{"EventName":"s3:ObjectCreated:Put","Records":[` + strings.Join(records, ",") + `]}`
}

// post gives the answer and what it says.
func post(t testing.TB, url, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func hooked(t *testing.T, s archive.Store, token string) (url string) {
	t.Helper()
	w := &watch.Watcher{Handler: &index.Handler{Store: s, Bucket: "b", NodeID: nodeID}}
	server := httptest.NewServer(w.Hook(t.Context(), token))
	t.Cleanup(server.Close)
	return server.URL
}

func has(t testing.TB, s archive.Store, seg sealed) bool {
	t.Helper()
	_, key, err := archive.ParseFull(seg.key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Stat(context.Background(), archive.Join(nodeID, key.(archive.SegmentKey).Index()))
	if err != nil && !errors.Is(err, archive.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestHookAnswers(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 3)
	all[2].data = []byte("no segment")
	for _, seg := range all {
		s.put(t, seg)
	}
	url := hooked(t, s, "secret")
	for _, c := range []struct {
		name, token, body string
		status            int
		says              string
	}{
		{"two segments", "secret", event(all[0].key, all[1].key), 200, "{}"},
		{"the same again", "secret", event(all[0].key), 200, "{}"},
		{"test event", "secret", `{"Event":"s3:TestEvent"}`, 200, "{}"},
		{"object of the archive", "secret", event("nodedb/v1/n1/format.json"), 200, "{}"},
		{"no token", "", event(all[0].key), 401, "token"},
		{"wrong token", "secrets", event(all[0].key), 401, "token"},
		{"foreign object", "secret", event("holiday.jpg"), 404, "not of this archive"},
		{"foreign bucket", "secret", strings.ReplaceAll(event(all[0].key), `"b"`, `"c"`), 404, "not of this archive"},
		{"foreign node", "secret", event(strings.Replace(all[0].key, "n1", "n2", 1)), 404, "not of this archive"},
		{"ours and foreign", "secret", event("holiday.jpg", all[0].key), 200, "{}"},
		{"no JSON", "secret", "{", 422, "no event of a store"},
		{"damaged segment", "secret", event(all[2].key), 422, "is damaged"},
		{"too large", "secret", strings.Repeat("x", index.EventBytesMax+1), 400, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, text := post(t, url, c.token, c.body)
			if resp.StatusCode != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %s, want %d with %q", resp.StatusCode, text, c.status, c.says)
			}
			if c.status == 200 && !(has(t, s, all[0]) && has(t, s, all[1])) {
				t.Error("answered before it is indexed")
			}
		})
	}
	for method, want := range map[string]int{http.MethodHead: 204, http.MethodGet: 204, http.MethodPut: 405} {
		req, _ := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, resp.StatusCode, want)
		}
	}
}

// Trouble of the store asks the sender to come again, and the next time it works.
func TestHookTrouble(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 1)
	s.put(t, all[0])
	url := hooked(t, s, "")
	for _, class := range []error{archive.ErrUnreachable, archive.ErrThrottled, archive.ErrDenied} {
		s.trouble(&archive.StoreError{Op: "read", Store: "here", Class: class})
		resp, text := post(t, url, "", event(all[0].key))
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || has(t, s, all[0]) {
			t.Errorf("%v: %d %s, Retry-After %q", class, resp.StatusCode, text, resp.Header.Get("Retry-After"))
		}
	}
	s.trouble(nil)
	if resp, text := post(t, url, "", event(all[0].key)); resp.StatusCode != 200 || !has(t, s, all[0]) {
		t.Errorf("afterwards: %d %s", resp.StatusCode, text)
	}
}

// Law 13: posts that wait are bounded. One whose sender gives up is worked on.
func TestHookWaiting(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 1)
	s.put(t, all[0])
	s.hold()
	r := &run{told: make(chan index.Result, 1)}
	w := &watch.Watcher{Handler: &index.Handler{Store: s, Told: func(d index.Result) { r.told <- d }}}
	hook := w.Hook(t.Context(), "")

	begin := func(ctx context.Context, answered chan<- int) {
		rec := httptest.NewRecorder()
		hook.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(event(all[0].key))))
		answered <- rec.Code
	}
	impatient, giveUp := context.WithCancel(t.Context())
	const many = 200
	answered := make(chan int, many)
	for range many {
		go begin(impatient, answered)
	}
	for range many - 64 { // those that find no place
		if code := <-answered; code != 503 {
			t.Fatalf("one too many is answered %d", code)
		}
	}
	<-s.entered
	giveUp() // all but the one whose turn it is
	for range 63 {
		if code := <-answered; code != 503 {
			t.Fatalf("one that gave up is answered %d", code)
		}
	}
	close(s.held)
	if code := <-answered; code != 200 {
		t.Errorf("the one that had its turn is answered %d", code)
	}
	r.want(t, all[0], index.Indexed)
}

// A server catches up beside the posts, ends in order, and tells what is wrong at
// the start.
func TestServe(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 2)
	s.put(t, all[0])
	l := listen(t)
	r := start(t, s, func(ctx context.Context, w *watch.Watcher) error { return w.Serve(ctx, l, "") })
	r.want(t, all[0], index.Indexed)
	s.put(t, all[1])
	if resp, text := post(t, "http://"+l.Addr().String(), "", event(all[1].key)); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	r.want(t, all[1], index.Indexed)
	if err := r.stop(); err != nil {
		t.Errorf("end: %v", err)
	}
	s.trouble(unreachable)
	w := &watch.Watcher{Handler: &index.Handler{Store: s}}
	if err := w.Serve(t.Context(), listen(t), ""); !errors.Is(err, archive.ErrUnreachable) {
		t.Errorf("unreachable at the start: %v", err)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What is under way when a server ends is finished.
func TestServeDrains(t *testing.T) {
	s, all := fileStore(t), segments(t, nodeID, 1)
	s.hold()
	l := listen(t)
	r := start(t, s, func(ctx context.Context, w *watch.Watcher) error { return w.Serve(ctx, l, "") })
	for len(s.taken()) == 0 { // it has begun to catch up, with nothing there
		<-s.listed
	}
	s.put(t, all[0])
	var poster sync.WaitGroup
	var status int
	poster.Go(func() {
		resp, _ := post(t, "http://"+l.Addr().String(), "", event(all[0].key))
		status = resp.StatusCode
	})
	<-s.entered
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	close(s.held)
	poster.Wait()
	if err := <-ended; err != nil || status != 200 || !has(t, s, all[0]) {
		t.Errorf("status %d, end %v", status, err)
	}
}
