package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob/s3blob"

	"github.com/nodedb-go/nodedb/archive"
)

// s3Env keeps the tests away from whatever credentials the machine has.
func s3Env(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(k, v)
	}
}

// s3At opens a bucket on an endpoint that a test plays, as a user does.
func s3At(t *testing.T, endpoint string) archive.Store {
	t.Helper()
	s3Env(t)
	s, _, err := archive.OpenStore(t.Context(), "s3://bucket/p?endpoint="+url.QueryEscape(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// impatientAt opens it with a client that does not try again by itself, which
// takes seconds.
func impatientAt(t *testing.T, endpoint string) archive.Store {
	t.Helper()
	s3Env(t)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithRetryMaxAttempts(1))
	if err != nil {
		t.Fatal(err)
	}
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &endpoint, true })
	b, err := s3blob.OpenBucket(t.Context(), c, "bucket", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := archive.NewBlobStore(b, "s3://bucket")
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// answers serves one S3 error to every request.
func answers(t *testing.T, status int, code string) (endpoint string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		if code != "" && r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>m</Message></Error>`, code)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// callAll gives the error of each method.
func callAll(ctx context.Context, s archive.Store) map[string]error {
	errs := map[string]error{}
	errs["create"] = s.Create(ctx, "k", strings.NewReader("x"), 1)
	r, err := s.ReadRange(ctx, "k", 0, -1)
	if err == nil {
		_, err = io.ReadAll(r)
		err = errors.Join(err, r.Close())
	}
	errs["read"] = err
	_, errs["stat"] = s.Stat(ctx, "k")
	errs["delete"] = s.Delete(ctx, "k")
	errs["list"] = nil
	for _, err := range s.List(ctx, "", "") {
		errs["list"] = err
	}
	return errs
}

// The classes are what callers act on. Above all: nothing but a plain 404 for
// an object in a bucket that answers makes an object absent.
func TestErrorClasses(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{403, "AccessDenied", archive.ErrDenied},
		{403, "SignatureDoesNotMatch", archive.ErrDenied},
		{401, "", archive.ErrDenied},
		{400, "ExpiredToken", nil}, // HEAD has no body to say so
		{404, "NoSuchBucket", archive.ErrNoStore},
		{301, "PermanentRedirect", archive.ErrRefused},
		{400, "InvalidRequest", archive.ErrRefused},
		{405, "MethodNotAllowed", archive.ErrRefused},
		{429, "TooManyRequests", archive.ErrThrottled},
		{503, "SlowDown", archive.ErrThrottled},
		{409, "ConditionalRequestConflict", archive.ErrThrottled},
		{500, "InternalError", archive.ErrUnreachable},
		{502, "", archive.ErrUnreachable},
		{504, "", archive.ErrUnreachable},
		{507, "XMinioStorageFull", archive.ErrStoreFull},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			endpoint := answers(t, c.status, c.code)
			errs := callAll(t.Context(), impatientAt(t, endpoint))
			if c.status < 500 && c.status != 429 { // else it would try again
				errs["create, direct"] = s3At(t, endpoint).Create(t.Context(), "k", strings.NewReader("x"), 1)
			}
			for method, err := range errs {
				if c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", method, err, c.want)
				}
				if err == nil || errors.Is(err, archive.ErrNotFound) || errors.Is(err, archive.ErrExists) {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
}

func TestErrorClassesOfOneMethod(t *testing.T) {
	err := s3At(t, answers(t, 412, "PreconditionFailed")).Create(t.Context(), "k", strings.NewReader("x"), 1)
	if !errors.Is(err, archive.ErrExists) {
		t.Errorf("Create: %v, want ErrExists", err)
	}
	_, err = s3At(t, answers(t, 403, "InvalidObjectState")).ReadRange(t.Context(), "k", 0, -1)
	if !errors.Is(err, archive.ErrCold) {
		t.Errorf("ReadRange: %v, want ErrCold", err)
	}
	var se *archive.StoreError
	if !errors.As(err, &se) || se.Op != "read" || se.Key != "k" || se.Store == "" {
		t.Errorf("error says %+v, want what was done, to what, and where", se)
	}
}

// Nobody listens, a connection that breaks, an answer that is no S3, a body
// that ends early: nothing is known then.
func TestUnreachable(t *testing.T) {
	play := func(h http.HandlerFunc) func(*testing.T) archive.Store {
		return func(t *testing.T) archive.Store {
			srv := httptest.NewServer(h)
			t.Cleanup(srv.Close)
			return impatientAt(t, srv.URL)
		}
	}
	for name, open := range map[string]func(*testing.T) archive.Store{
		"nobody": func(t *testing.T) archive.Store { return impatientAt(t, "http://127.0.0.1:1") },
		"no such host": func(t *testing.T) archive.Store {
			return impatientAt(t, "http://nodedb-test.invalid")
		},
		"broken connection": play(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"half a body": play(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			for method, err := range callAll(t.Context(), open(t)) {
				if !errors.Is(err, archive.ErrUnreachable) || !archive.Retryable(err) {
					t.Errorf("%s: %v, want ErrUnreachable", method, err)
				}
			}
		})
	}
}

// What goes over the wire to servers that are not AWS: the condition always,
// checksums that they may not know never.
func TestCreateRequest(t *testing.T) {
	var got http.Header
	var path string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got, path = r.Header.Clone(), r.Method+" "+r.URL.Path
	}))
	t.Cleanup(srv.Close)
	if err := s3At(t, srv.URL).Create(t.Context(), "a/b", strings.NewReader("hello"), 5); err != nil {
		t.Fatal(err)
	}
	if path != "PUT /bucket/p/a/b" {
		t.Errorf("request %q, want path style with the prefix", path)
	}
	if v := got.Get("If-None-Match"); v != "*" {
		t.Errorf("If-None-Match %q, want * (law 7)", v)
	}
	for name := range got {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-checksum") || strings.EqualFold(name, "X-Amz-Trailer") {
			t.Errorf("header %s is sent to a server that may not know it", name)
		}
	}
}

// A server may refuse a create and close before it took the body; a client
// that is still sending sees nothing but a broken connection. Then the object
// is what answers: there is "exists", absent and silent are still "unknown".
func TestRefusedWhileSending(t *testing.T) {
	for name, c := range map[string]struct {
		head int // status of a HEAD; 0 breaks that connection too
		want error
	}{
		"there":  {http.StatusOK, archive.ErrExists},
		"absent": {http.StatusNotFound, archive.ErrUnreachable},
		"silent": {0, archive.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodHead || c.head == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(c.head)
			}))
			t.Cleanup(srv.Close)
			err := impatientAt(t, srv.URL).Create(t.Context(), "k", strings.NewReader("x"), 1)
			if !errors.Is(err, c.want) || errors.Is(err, archive.ErrExists) != errors.Is(c.want, archive.ErrExists) {
				t.Errorf("Create: %v, want %v", err, c.want)
			}
		})
	}
}
