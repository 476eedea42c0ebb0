package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// coldS3 speaks as much of S3 as an archive and a thaw need, with the answers
// that AWS documents about cold classes: 403 InvalidObjectState for a body, 202,
// 200 and 409 RestoreAlreadyInProgress for a request to restore, and the header
// x-amz-restore. It stands in for AWS, which no test asks.
type coldS3 struct {
	*archivetest.Frozen
	url string // of the archive

	mu       sync.Mutex
	restores []string // "202 Bulk 3 key"
}

// newColdS3 serves a bucket on loopback.
func newColdS3(t *testing.T) *coldS3 {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(k, v)
	}
	mem, _, err := archive.OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	s := &coldS3{Frozen: archivetest.NewFrozen(mem)}
	srv := httptest.NewServer(s)
	t.Cleanup(func() {
		srv.Close()
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	s.url = "s3://bucket/p?endpoint=" + url.QueryEscape(srv.URL)
	return s
}

// requests to restore, and how they were answered.
func (s *coldS3) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.restores)
}

func (s *coldS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	key, _ := strings.CutPrefix(r.URL.Path, "/bucket/")
	switch {
	case r.URL.Query().Has("list-type"):
		s.list(w, r)
	case r.Method == http.MethodPost && r.URL.Query().Has("restore"):
		s.restore(w, r, key)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body) // a body that is cut off has another MD5
		if err := s.Create(r.Context(), key, bytes.NewReader(body), int64(len(body))); err != nil {
			refuse(w, err)
		}
	case r.Method == http.MethodHead, r.Method == http.MethodGet:
		s.object(w, r, key)
	default:
		http.Error(w, "not here", http.StatusNotImplemented)
	}
}

func refuse(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, "InternalError"
	switch {
	case errors.Is(err, archive.ErrExists):
		status, code = http.StatusPreconditionFailed, "PreconditionFailed"
	case errors.Is(err, archive.ErrNotFound):
		status, code = http.StatusNotFound, "NoSuchKey"
	case errors.Is(err, archive.ErrCold):
		status, code = http.StatusForbidden, "InvalidObjectState"
	}
	answer(w, status, code)
}

func answer(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>said so</Message></Error>`, code)
}

func (s *coldS3) object(w http.ResponseWriter, r *http.Request, key string) {
	o, err := s.Stat(r.Context(), key)
	if err != nil {
		refuse(w, err)
		return
	}
	h := w.Header()
	h.Set("ETag", fmt.Sprintf(`"%x"`, o.MD5))
	h.Set("Last-Modified", o.ModTime.UTC().Format(http.TimeFormat))
	if class := o.Class.Kind(); class != "STANDARD" {
		h.Set("x-amz-storage-class", string(class))
	}
	switch {
	case o.Class.Thawed():
		h.Set("x-amz-restore", fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, archivetest.FrozenDays.Format(http.TimeFormat)))
	case s.State(key) == archive.Thawing:
		h.Set("x-amz-restore", `ongoing-request="true"`)
	}
	if r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(o.Size, 10))
		return
	}
	body, err := s.ReadRange(r.Context(), key, 0, -1)
	if err != nil {
		refuse(w, err)
		return
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		refuse(w, err)
		return
	}
	http.ServeContent(w, r, "", o.ModTime, bytes.NewReader(data))
}

func (s *coldS3) list(w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key, LastModified, ETag, StorageClass string
		Size                                  int64
	}
	type folder struct{ Prefix string }
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []object
		CommonPrefixes        []folder
	}
	q := r.URL.Query()
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil {
		most = 1000
	}
	out.Name = "bucket"
	for o, err := range s.List(r.Context(), q.Get("prefix"), max(q.Get("start-after"), q.Get("continuation-token"))) {
		if err != nil {
			refuse(w, err)
			return
		}
		if d := q.Get("delimiter"); d != "" {
			if name, _, ok := strings.Cut(strings.TrimPrefix(o.Key, q.Get("prefix")), d); ok {
				f := folder{q.Get("prefix") + name + d}
				if n := len(out.CommonPrefixes); n == 0 || out.CommonPrefixes[n-1] != f {
					out.CommonPrefixes = append(out.CommonPrefixes, f)
				}
				continue
			}
		}
		if len(out.Contents) == most {
			out.IsTruncated, out.NextContinuationToken = true, out.Contents[most-1].Key
			break
		}
		out.Contents = append(out.Contents, object{Key: o.Key, Size: o.Size, StorageClass: string(o.Class),
			LastModified: o.ModTime.UTC().Format("2006-01-02T15:04:05.000Z"), ETag: fmt.Sprintf(`"%x"`, o.MD5)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out) // a client that went away
}

func (s *coldS3) restore(w http.ResponseWriter, r *http.Request, key string) {
	var in struct {
		Days                 int
		GlacierJobParameters struct{ Tier archive.ThawTier }
	}
	if err := xml.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	status, code := http.StatusAccepted, ""
	switch s.State(key) {
	case archive.Thawing:
		status, code = http.StatusConflict, "RestoreAlreadyInProgress"
	case archive.Readable:
		status = http.StatusOK
	default:
		if err := s.Thaw(r.Context(), key, in.GlacierJobParameters.Tier, in.Days); err != nil {
			status, code = http.StatusServiceUnavailable, "GlacierExpeditedRetrievalNotAvailable"
		}
	}
	s.mu.Lock()
	s.restores = append(s.restores, fmt.Sprintf("%d %s %d %s", status, in.GlacierJobParameters.Tier, in.Days, strings.TrimPrefix(key, "p/")))
	s.mu.Unlock()
	if code != "" {
		answer(w, status, code)
		return
	}
	w.WriteHeader(status)
}
