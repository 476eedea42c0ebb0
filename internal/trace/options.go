package trace

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Options of a tracer. Endpoint is required.
type Options struct {
	Endpoint string  // http or https URL of a collector; without a path of traces it is added
	Ratio    float64 // of the traces that begin here, 0 to 1
	Version  string
	Logger   *slog.Logger
	Env      func(string) string // the environment, which the exporter reads; nil: not checked
}

// tracesPath is where a collector takes traces.
const tracesPath = "/v1/traces"

// HeadersVariables are the environment variables whose headers go with each
// delivery: name=value,name=value. Their values are secrets.
var HeadersVariables = []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}

// endpoint is the URL that spans are sent to.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		if why := errors.Unwrap(err); why != nil {
			err = why // the URL may hold a password
		}
		return "", fmt.Errorf("the URL of the collector cannot be read: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("the URL of the collector begins with %q, want http:// or https://", u.Scheme+":")
	case u.Hostname() == "":
		return "", errors.New("the URL of the collector names no host, want http://HOST:4318")
	case u.User != nil:
		return "", fmt.Errorf("the URL of the collector holds a user or a password; set %s instead", HeadersVariables[0])
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the URL of the collector has a part behind ? or #, want http://HOST:4318")
	}
	if !strings.HasSuffix(u.Path, tracesPath) {
		u = u.JoinPath(tracesPath)
	}
	return u.String(), nil
}

// checkHeaders finds what the exporter would leave out. It shows no part of them.
func checkHeaders(getenv func(string) string) error {
	if getenv == nil {
		return nil
	}
	for _, name := range HeadersVariables {
		value := getenv(name)
		if strings.TrimSpace(value) == "" {
			continue
		}
		parts := strings.Split(value, ",")
		for i, p := range parts {
			key, text, ok := strings.Cut(p, "=")
			if _, err := url.PathUnescape(text); !ok || strings.TrimSpace(key) == "" || err != nil {
				return fmt.Errorf("%s: part %d of %d is not name=value with %%XX for special characters", name, i+1, len(parts))
			}
		}
	}
	return nil
}
