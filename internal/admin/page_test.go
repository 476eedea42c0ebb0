package admin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/node"
)

var outside = regexp.MustCompile(`(?i)(src|href)="(https?:)?//|url\(|@import|style="|\son[a-z]+="`)

// The page is complete in itself, and its policy lets all of it run.
func TestPage(t *testing.T) {
	r := newRig(t, Options{Token: token}, node.Options{})
	for _, f := range pageFiles {
		w := r.ask("GET", f.path, "") // without the token: it holds nothing of the node
		if w.Code != 200 || w.Header().Get("Content-Type") != f.kind || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s, %d bytes", f.path, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		if found := outside.FindString(w.Body.String()); found != "" {
			t.Errorf("%s has %s", f.path, found)
		}
		if strings.Contains(w.Body.String(), "shop") {
			t.Errorf("%s names the node", f.path)
		}
	}
	index := r.ask("GET", "/", "").Body.String()
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(index, -1) {
		if w := r.ask("GET", m[1], ""); w.Code != 200 {
			t.Errorf("the page asks for %s: %d", m[1], w.Code)
		}
	}
}
