package archive

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

// optionalSuffix after a URL sets StoreOptions.Optional.
const optionalSuffix = ";optional"

// shownParams are the query parameters that a URL keeps when it is printed.
// Whatever is not listed may be a secret, now or in a later driver, so its
// value is hidden.
var shownParams = []string{
	"accelerate", "anonymous", "disable_https", "domain", "dualstack", "endpoint", "fips", "hostname_immutable",
	"kmskeyid", "localemu", "multipart_bytes", "nomd5", "prefix", "profile", "protocol", "region",
	"request_checksum_calculation", "response_checksum_validation", "role", "s3ForcePathStyle", "ssetype",
	"use_path_style",
}

// storeURL is a store's URL, taken apart and checked.
type storeURL struct {
	scheme  string
	url     *url.URL // for the driver: without prefix, path and our own parameters
	shown   string   // for people
	prefix  string   // "" or ends with a slash
	dir     string   // of a file URL
	s3      s3Params
	options StoreOptions
}

// OpenStore opens the store that rawURL names:
//
//	file:///abs/dir   file://./rel/dir          our own durable store
//	mem://                                      memory, for tests
//	s3://bucket/some/prefix?region=…&endpoint=…  any gocloud.dev/blob URL
//
// A path after the bucket and the parameter prefix= both name a prefix below
// which all keys are. A suffix ";optional" is returned in StoreOptions. For
// an s3 URL with an endpoint of its own, path-style requests and checksums
// only when required are the defaults, since that is what servers other than
// AWS take. Schemes other than file need their driver linked into the
// program. OpenStore makes no request, so a wrong name shows at first use.
// Errors match ErrBadURL, and never print credentials.
func OpenStore(ctx context.Context, rawURL string) (Store, StoreOptions, error) {
	u, err := parseStoreURL(rawURL)
	if err != nil {
		return nil, StoreOptions{}, err
	}
	if u.scheme == "file" {
		s, err := NewFileStore(u.dir)
		return s, u.options, err
	}
	if !blob.DefaultURLMux().ValidBucketScheme(u.scheme) {
		known := append([]string{"file"}, blob.DefaultURLMux().BucketSchemes()...)
		slices.Sort(known)
		return nil, u.options, fmt.Errorf("%w: %s: no driver for scheme %q in this program, it has %s",
			ErrBadURL, u.shown, u.scheme, strings.Join(known, ", "))
	}
	b, err := blob.DefaultURLMux().OpenBucketURL(ctx, u.url)
	if err != nil {
		return nil, u.options, fmt.Errorf("%w: %s: %s", ErrBadURL, u.shown, u.scrub(err.Error()))
	}
	return newBlobStore(b, u), u.options, nil
}

// RedactURL is rawURL as it may be printed: without user, password, and the
// values of parameters that are not known to be harmless.
func RedactURL(rawURL string) string {
	rawURL = strings.TrimSuffix(rawURL, optionalSuffix)
	u, err := url.Parse(rawURL)
	if err != nil {
		scheme, _, ok := strings.Cut(rawURL, "://")
		if !ok || !validName(scheme) {
			return "(unreadable URL)"
		}
		return scheme + "://(unreadable)"
	}
	return redact(u)
}

func redact(u *url.URL) string {
	c := *u
	if c.User != nil {
		c.User = url.User("xxx")
	}
	q := c.Query()
	for name, values := range q {
		switch {
		case name == "endpoint":
			for i, v := range values {
				values[i] = redactEndpoint(v)
			}
		case !slices.Contains(shownParams, name):
			q[name] = []string{"xxx"}
		}
	}
	c.RawQuery = q.Encode()
	c.Fragment = ""
	return c.String()
}

func redactEndpoint(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "xxx"
	}
	if u.User != nil {
		u.User = url.User("xxx")
	}
	u.RawQuery = ""
	return u.String()
}

// scrub takes what must not be printed out of a driver's error text.
func (u *storeURL) scrub(text string) string {
	for name, values := range u.url.Query() {
		if slices.Contains(shownParams, name) {
			continue
		}
		for _, v := range values {
			if v != "" {
				text = strings.ReplaceAll(text, v, "xxx")
				text = strings.ReplaceAll(text, url.QueryEscape(v), "xxx")
			}
		}
	}
	return text
}

func parseStoreURL(raw string) (*storeURL, error) {
	su := &storeURL{}
	raw, su.options.Optional = strings.CutSuffix(raw, optionalSuffix)
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Parse quotes its input, which may hold a password.
		return nil, fmt.Errorf("%w: %s: cannot be parsed as a URL", ErrBadURL, RedactURL(raw))
	}
	su.scheme, su.shown = u.Scheme, redact(u)
	bad := func(format string, args ...any) (*storeURL, error) {
		return nil, fmt.Errorf("%w: %s: %s", ErrBadURL, su.shown, fmt.Sprintf(format, args...))
	}
	switch {
	case u.Scheme == "":
		return bad("no scheme; for a directory write file:///absolute/path or file://./relative/path")
	case u.Opaque != "":
		return bad("write %s:// with two slashes", u.Scheme)
	case u.User != nil:
		return bad("credentials do not belong in a URL; give them by the cloud's environment variables or profile")
	case u.Fragment != "":
		return bad("a # starts a fragment, which a store cannot have; write %%23")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("cannot read the parameters after ?")
	}
	if u.Scheme == "file" {
		err = su.parseFile(u, q)
	} else {
		err = su.parseBucket(u, q)
	}
	if err != nil {
		return bad("%v", err)
	}
	return su, nil
}

func (su *storeURL) parseFile(u *url.URL, q url.Values) error {
	switch u.Host {
	case "", "localhost":
		su.dir = u.Path
	case ".":
		su.dir = "." + u.Path
	default:
		return fmt.Errorf("host %q in a file URL; for a relative directory write file://./%s%s", u.Host, u.Host, u.Path)
	}
	if su.dir == "" {
		return fmt.Errorf("no directory; write file:///absolute/path")
	}
	prefix := q.Get("prefix")
	q.Del("prefix")
	if len(q) > 0 {
		return fmt.Errorf("a file URL has only the parameter prefix")
	}
	p, err := cleanPrefix(prefix)
	if err != nil {
		return err
	}
	su.dir = path.Join(su.dir, p)
	su.shown = (&url.URL{Scheme: "file", Path: su.dir}).String()
	if !path.IsAbs(su.dir) {
		su.shown = "file://./" + su.dir
	}
	return nil
}

func (su *storeURL) parseBucket(u *url.URL, q url.Values) error {
	p, err := cleanPrefix(strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return err
	}
	p2, err := cleanPrefix(q.Get("prefix"))
	if err != nil {
		return err
	}
	q.Del("prefix")
	if q.Has("key") {
		return fmt.Errorf("the parameter key names one object; an archive needs a bucket or a prefix")
	}
	su.prefix = p + p2
	if u.Scheme == "s3" {
		if u.Host == "" {
			return fmt.Errorf("no bucket; write s3://bucket/prefix")
		}
		if err := su.s3.parse(u.Host, q); err != nil {
			return err
		}
	}
	su.url = &url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: q.Encode()}
	return nil
}

// cleanPrefix gives "" or a prefix that ends with one slash.
func cleanPrefix(p string) (string, error) {
	p = strings.Trim(p, "/")
	if p == "" {
		return "", nil
	}
	if err := checkKey(p); err != nil {
		return "", fmt.Errorf("prefix: %w", err)
	}
	return p + "/", nil
}
