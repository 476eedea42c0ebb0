package admin

import (
	"embed"
	"net/http"
)

//go:embed web
var web embed.FS

var pageFiles = []struct{ path, file, kind string }{
	{"/", "index.html", "text/html; charset=utf-8"},
	{"/style.css", "style.css", "text/css; charset=utf-8"},
	{"/app.js", "app.js", "text/javascript; charset=utf-8"},
	{"/timeline.js", "timeline.js", "text/javascript; charset=utf-8"},
	{"/icon.svg", "icon.svg", "image/svg+xml"},
}

func (*Server) pageRoutes(t map[string]route) {
	for _, f := range pageFiles {
		t[f.path] = route{http.MethodGet, forFiles, func(w http.ResponseWriter, _ *http.Request) {
			body, err := web.ReadFile("web/" + f.file)
			if err != nil {
				fail(w, http.StatusInternalServerError, "the page is not in this program")
				return
			}
			w.Header().Set("Content-Type", f.kind)
			_, _ = w.Write(body)
		}, false}
	}
}
