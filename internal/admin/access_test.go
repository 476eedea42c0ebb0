package admin

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/node"
)

func from(addr string) func(*http.Request) { return func(q *http.Request) { q.RemoteAddr = addr } }
func host(name string) func(*http.Request) { return func(q *http.Request) { q.Host = name } }
func header(name, value string) func(*http.Request) {
	return func(q *http.Request) { q.Header.Add(name, value) }
}

func TestAccess(t *testing.T) {
	open, closed := newRig(t, Options{}, node.Options{}), newRig(t, Options{Token: token}, node.Options{})
	far := from("192.0.2.7:80")
	for _, c := range []struct {
		name         string
		method, path string
		edits        []func(*http.Request)
		open, closed int // without and with a token configured
	}{
		{"a read from here", "GET", "/api/status", nil, 200, 401},
		{"a read over IPv6", "GET", "/metrics", []func(*http.Request){from("[::1]:9"), host("[::1]:6381")}, 200, 401},
		{"a read from afar", "GET", "/metrics", []func(*http.Request){far}, 401, 401},
		{"a read through a proxy", "GET", "/metrics", []func(*http.Request){header("X-Forwarded-For", "192.0.2.7")}, 401, 401},
		{"a name that was made to point here", "GET", "/api/status", []func(*http.Request){host("evil.example:6381")}, 403, 401},
		{"the address of another", "GET", "/api/status", []func(*http.Request){host("192.0.2.7:6381")}, 403, 401},
		{"a name that looks like here", "GET", "/api/status", []func(*http.Request){host("127.0.0.1.evil.example")}, 403, 401},
		{"a read with the token", "GET", "/api/status", []func(*http.Request){far, withToken}, 401, 200},
		{"health from afar", "GET", "/readyz", []func(*http.Request){far, host("10.0.0.5")}, 200, 200},
		{"a change from here", "POST", "/api/checkpoint", nil, 401, 401},
		{"a change with the token", "POST", "/api/checkpoint", []func(*http.Request){withToken}, 401, 200},
		{"a profile from here", "GET", "/debug/pprof/heap", nil, 401, 401},
		{"a profile with the token", "GET", "/debug/pprof/heap", []func(*http.Request){withToken}, 401, 200},
		{"the command line", "GET", "/debug/pprof/cmdline", []func(*http.Request){withToken}, 404, 404},
		{"a wrong token", "POST", "/api/seal", []func(*http.Request){header("Authorization", "Bearer "+token+"x")}, 401, 401},
		{"an empty token", "POST", "/api/seal", []func(*http.Request){header("Authorization", "Bearer ")}, 401, 401},
		{"another scheme", "POST", "/api/seal", []func(*http.Request){header("Authorization", "Basic "+token)}, 401, 401},
		{"two tokens", "POST", "/api/seal", []func(*http.Request){withToken, header("Authorization", "Bearer x")}, 401, 401},
		{"a change by GET", "GET", "/api/checkpoint", []func(*http.Request){withToken}, 405, 405},
		{"a read by POST", "POST", "/api/status", []func(*http.Request){withToken}, 405, 405},
	} {
		for _, r := range []struct {
			*rig
			want int
		}{{open, c.open}, {closed, c.closed}} {
			w := r.ask(c.method, c.path, "", c.edits...)
			if w.Code != r.want {
				t.Errorf("%s, token %v: %d, want %d: %s", c.name, r.opts.Token != "", w.Code, r.want, w.Body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("X-Frame-Options") != "DENY" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'self'") {
				t.Errorf("%s: headers %v", c.name, w.Header())
			}
		}
	}
}

// Whatever is asked for by POST changes something: nobody is served without the token,
// who is told what to give.
func TestAccess_EveryChange(t *testing.T) {
	for _, o := range []Options{{}, {Token: token}} {
		r := newRig(t, o, node.Options{})
		changes := 0
		for path, rt := range r.routes {
			if rt.method != http.MethodPost {
				continue
			}
			changes++
			w := r.ask("POST", path, "")
			if w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s, token %v: %d, %v, want 401", path, o.Token != "", w.Code, w.Header())
			}
		}
		if changes < 6 {
			t.Errorf("%d routes change something", changes)
		}
	}
}

// A path is what it is in the table, or it is not there.
func TestPaths(t *testing.T) {
	r := newRig(t, Options{Token: token}, node.Options{})
	for _, p := range []string{"//", "/../api/status", "/api/../metrics", "/api/status/", "/API/status", "/metrics;x", "/web/index.html", "/./", "", "*", "/api/status\x00"} {
		if w := r.ask("GET", p, "", withToken); w.Code != 404 {
			t.Errorf("%q: %d, want 404", p, w.Code)
		}
	}
	encoded := func(q *http.Request) {
		q.URL.Path, q.URL.RawPath, q.RequestURI = "/metrics", "/%6detrics", "/%6detrics"
	}
	if w := r.ask("GET", "/metrics", "", withToken, encoded); w.Code != 404 {
		t.Errorf("an encoded path: %d, want 404", w.Code)
	}
	absolute := func(q *http.Request) { q.RequestURI = "http://evil.example/metrics" }
	if w := r.ask("GET", "/metrics", "", withToken, absolute); w.Code != 404 {
		t.Errorf("an absolute URI: %d, want 404", w.Code)
	}
}

// Nothing that the server writes holds the token.
func TestTokenStaysSecret(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, Options{Token: token, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, node.Options{})
	var all strings.Builder
	for path, rt := range r.routes {
		if path == "/api/live" || path == "/debug/pprof/profile" || path == "/debug/pprof/trace" || path == "/debug/pprof/heap" || path == "/debug/pprof/allocs" {
			continue // they take their time, or hold all of the memory
		}
		all.WriteString(r.ask(rt.method, path, "", withToken).Body.String())
	}
	if strings.Contains(all.String()+log.String(), token) {
		t.Errorf("the token is shown: %s%s", all.String(), log.String())
	}
}
