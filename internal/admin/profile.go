package admin

import (
	"net/http"
	"net/http/pprof"
)

// profileRoutes leave out the command line: a flag may name what others must not
// see.
func profileRoutes(t map[string]route) {
	const at = "/debug/pprof/"
	t[at] = route{http.MethodGet, forChange, pprof.Index, false}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		t[at+name] = route{http.MethodGet, forChange, pprof.Handler(name).ServeHTTP, true}
	}
	t[at+"profile"] = route{http.MethodGet, forChange, pprof.Profile, true}
	t[at+"trace"] = route{http.MethodGet, forChange, pprof.Trace, true}
	t[at+"symbol"] = route{http.MethodGet, forChange, pprof.Symbol, false}
}
