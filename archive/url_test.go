package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
)

func TestOpenStoreURL(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		raw, shown string
		optional   bool
	}{
		{"file:///var/backup", "file:///var/backup", false},
		{"file:///var/backup/;optional", "file:///var/backup", true},
		{"file:///var/backup?prefix=a/b", "file:///var/backup/a/b", false},
		{"file://localhost/var/with%20space", "file:///var/with%20space", false},
		{"file://./rel/dir", "file://" + filepath.Join(wd, "rel/dir"), false},
		{"mem://", "mem:", false},
		{"s3://bucket/some/prefix?region=eu-west-1", "s3://bucket/some/prefix?region=eu-west-1", false},
		{"s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A9000;optional", "s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A9000", true},
	} {
		s, o, err := archive.OpenStore(t.Context(), c.raw)
		if err != nil {
			t.Errorf("OpenStore(%q): %v", c.raw, err)
			continue
		}
		if s.URL() != c.shown || o.Optional != c.optional {
			t.Errorf("OpenStore(%q): URL %q, optional %v; want %q, %v", c.raw, s.URL(), o.Optional, c.shown, c.optional)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// Law 14: a refusal says what is wrong, and what would work.
func TestBadURLs(t *testing.T) {
	for raw, hint := range map[string]string{
		"":                                 "file:///",
		"/var/backup":                      "file:///",
		"backup":                           "file:///",
		"file://":                          "no directory",
		"file://backup/dir":                "file://./backup/dir",
		"file:/var/backup?x=1":             "only the parameter prefix",
		"file:backup":                      "two slashes",
		"file:///a?prefix=../b":            "relative element",
		"s3:///nobucket":                   "no bucket",
		"s3://bucket/a/../b":               "relative element",
		"s3://bucket/a#frag":               "%23",
		"s3://key:hunter2@bucket":          "credentials",
		"s3://bucket?endpoint=127.0.0.1":   "http://host:port",
		"s3://bucket?key=one":              "names one object",
		"s3://bucket?ssetype=rot13":        "AES256",
		"s3://bucket?multipart_bytes=1":    "5242880",
		"s3://bucket?unknown_param=secret": "unknown_param",
		"gopher://bucket":                  `no driver for scheme "gopher"`,
		"s3://buck et:hunter2@/":           "cannot be parsed",
		"s3://b?a=%zz":                     "parameters",
		"file:///var;optionally":           "",
	} {
		s, _, err := archive.OpenStore(t.Context(), raw)
		if hint == "" {
			if err != nil {
				t.Errorf("OpenStore(%q): %v", raw, err)
			}
			continue
		}
		if !errors.Is(err, archive.ErrBadURL) || s != nil {
			t.Errorf("OpenStore(%q) = %v, %v; want ErrBadURL", raw, s, err)
			continue
		}
		if !strings.Contains(err.Error(), hint) {
			t.Errorf("OpenStore(%q): %q does not mention %q", raw, err, hint)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("OpenStore(%q) prints a secret: %v", raw, err)
		}
	}
}

// Credentials are never printed, wherever someone put them.
func TestRedactURL(t *testing.T) {
	for _, raw := range []string{
		"s3://key:hunter2@bucket/p", "s3://bucket?secret_access_key=hunter2", "azblob://c?sas=hunter2&domain=x",
		"s3://b?endpoint=http://key:hunter2@host/", "s3://b?endpoint=http://host/?token=hunter2", "s3://u:hunter2@b?%zz", "http://[bad:hunter2@x",
		"s3://b#hunter2", "s3://b?x=hunter2;optional", "hunter2",
	} {
		if got := archive.RedactURL(raw); strings.Contains(got, "hunter2") && raw != "hunter2" {
			t.Errorf("RedactURL(%q) = %q", raw, got)
		}
	}
	if got, want := archive.RedactURL("s3://b/p?region=r&endpoint=http://h:1"), "s3://b/p?endpoint=http%3A%2F%2Fh%3A1&region=r"; got != want {
		t.Errorf("RedactURL = %q, want %q", got, want)
	}
}
