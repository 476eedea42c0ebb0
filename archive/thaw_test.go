package archive_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/archive"
)

// thawer is the S3 store of an endpoint.
func thawer(t *testing.T, h http.HandlerFunc) archive.Thawer {
	t.Helper()
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return s3At(t, srv.URL).(archive.Thawer)
}

// What goes over the wire, and what each of the answers that AWS documents means.
func TestThawAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{202, "", nil},
		{200, "", nil},
		{409, "RestoreAlreadyInProgress", nil},
		{403, "InvalidObjectState", archive.ErrRefused},
		{503, "GlacierExpeditedRetrievalNotAvailable", archive.ErrThrottled},
		{503, "SlowDown", archive.ErrThrottled},
		{403, "AccessDenied", archive.ErrDenied},
		{404, "NoSuchKey", archive.ErrNotFound},
		{501, "NotImplemented", archive.ErrRefused},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			var asked, body string
			s := thawer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					data, _ := io.ReadAll(r.Body)
					asked, body = r.URL.RequestURI(), string(data)
				}
				w.WriteHeader(c.status)
				if c.code != "" {
					_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>why</Message></Error>`, c.code)
				}
			})
			err := s.Thaw(t.Context(), "a/k", archive.ThawBulk, 3)
			if c.want == nil && err != nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !strings.HasPrefix(asked, "/bucket/p/a/k?restore") || !strings.Contains(body, "<Days>3</Days>") ||
				!strings.Contains(body, "<GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>") {
				t.Errorf("asked %s with %s", asked, body)
			}
		})
	}
}

func TestThawOf(t *testing.T) {
	until := time.Date(2029, 12, 21, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		class, restore string
		want           archive.Thaw
	}{
		{"", "", archive.Thaw{State: archive.Readable}},
		{"GLACIER_IR", "", archive.Thaw{State: archive.Readable, Class: "GLACIER_IR"}},
		{"GLACIER", "", archive.Thaw{State: archive.Frozen, Class: "GLACIER"}},
		{"DEEP_ARCHIVE", `ongoing-request="true"`, archive.Thaw{State: archive.Thawing, Class: "DEEP_ARCHIVE"}},
		{"GLACIER", `ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"`,
			archive.Thaw{State: archive.Readable, Class: "GLACIER (thawed)", Until: until}},
		{"GLACIER", `ongoing-request="false", expiry-date="some day"`, archive.Thaw{State: archive.Readable, Class: "GLACIER (thawed)"}},
		{"GLACIER", `ongoing-request="maybe"`, archive.Thaw{State: archive.Frozen, Class: "GLACIER"}},
	} {
		s := thawer(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, v := range map[string]string{"x-amz-storage-class": c.class, "x-amz-restore": c.restore} {
				if v != "" {
					w.Header().Set(name, v)
				}
			}
		})
		got, err := s.ThawOf(t.Context(), "k")
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s, %s: %v (-want +got):\n%s", c.class, c.restore, err, diff)
		}
	}
	if got := archive.ThawOffers("GLACIER (thawed)"); len(got) != 3 || got[0].Tier != archive.ThawExpedited {
		t.Errorf("GLACIER has %v", got)
	}
	if got := archive.ThawOffers("Archive"); len(got) != 0 {
		t.Errorf("Archive has %v", got)
	}
}

// A store that cannot be asked says so.
func TestThawElsewhere(t *testing.T) {
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.(archive.Thawer).Thaw(t.Context(), "k", archive.ThawBulk, 1); !errors.Is(err, archive.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}
