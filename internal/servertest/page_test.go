package servertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/admin"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

const pageToken = "a-token-of-the-tests"

// servePage serves the page of a node with some history; without a token when token
// is empty.
func servePage(t *testing.T, token string) (*node.Node, string) {
	t.Helper()
	store, err := archive.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := nodeOptions(store)
	o.PlainArchive = true
	n, err := node.Open(filepath.Join(t.TempDir(), "n"), o)
	if err != nil {
		t.Fatal(err)
	}
	load(t, n, 1)
	if _, _, err := n.RestorePoint(t.Context(), "before-release"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	load(t, n, 2)
	lsn, err := n.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.WaitArchived(t.Context(), lsn); err != nil {
		t.Fatal(err)
	}
	s := admin.New(admin.Options{Version: "v0", Token: token, Meter: admin.NewMeter(), History: func(ctx context.Context) (*admin.History, error) {
		a, err := archive.Open(store, n.ID())
		if err != nil {
			return nil, err
		}
		d, err := pitr.Describe(ctx, []*archive.Archive{a})
		return &admin.History{Description: d, Points: []admin.Point{{Name: "before-release", Timeline: 1, LSN: 1201}}}, err
	}})
	s.Attach(n)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := n.Shutdown(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n, "http://" + l.Addr().String() + "/"
}

// browser is a tab of a headless Chromium. What the page complains about fails the
// test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium on this machine")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1100, 1200))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var bad []string
	chromedp.ListenTarget(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			bad = append(bad, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "401") {
				bad = append(bad, e.Entry.Text)
			}
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if len(bad) > 0 {
			t.Errorf("the page complains: %q", bad)
		}
	})
	return ctx
}

// shot writes a picture into the directory of NODEDB_SCREENSHOTS, for people.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("NODEDB_SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	if err := chromedp.Run(ctx, chromedp.FullScreenshot(&png, 100)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

const slider = `#timeline [role=slider]`

// The page shows the node, a moment that is chosen by keyboard gives the command, and
// it fits a phone.
func TestPage(t *testing.T) {
	ctx := browser(t)
	n, url := servePage(t, "")
	var id, health, command, moment, text string
	var wide bool
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	run(chromedp.Navigate(url), chromedp.WaitVisible(slider), chromedp.WaitVisible("#cores tr"), chromedp.WaitVisible("#stores tr"), chromedp.WaitVisible("#live dd"),
		chromedp.Text("#node", &id), chromedp.Text("#health", &health))
	if id != n.ID() || health != "✓ ready" {
		t.Errorf("node %q is %q", id, health)
	}
	last := n.Status().Watermarks.Durable
	run(chromedp.Focus(slider), chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#command"),
		chromedp.Text("#text", &command), chromedp.Text("#moment", &moment))
	if want := fmt.Sprintf("--node-id n1 --timeline 1 --to-lsn %d --target-dir ./restored-%d", last-1, last-1); !strings.HasPrefix(command, "pitr-restore restore --archive file://") || !strings.HasSuffix(command, want) {
		t.Errorf("the command is %q, want %q", command, want)
	}
	if !strings.Contains(moment, "can be restored") {
		t.Errorf("the moment: %q", moment)
	}
	run(chromedp.Focus(`#timeline path.point`), chromedp.KeyEvent(kb.Enter), chromedp.Text("#text", &command))
	if !strings.Contains(command, "--to-lsn 1201 ") {
		t.Errorf("the command of a restore point is %q", command)
	}
	run(chromedp.Click("#copy"), chromedp.WaitVisible(`#copied:not(:empty)`), chromedp.Text("#copied", &text))
	if text != "copied" && !strings.HasPrefix(text, "selected") {
		t.Errorf("the button says %q", text)
	}
	load(t, n, 3)
	run(chromedp.Poll(`[...document.querySelectorAll("#chart-writes path")].some(p => /L/.test(p.getAttribute("d")))`, nil))
	shot(t, ctx, "light")
	run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	shot(t, ctx, "dark")
	run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide))
	if wide {
		t.Error("the page is wider than a phone")
	}
	shot(t, ctx, "phone")
}

// With a token configured the page shows nothing before it has it.
func TestPageAsksForToken(t *testing.T) {
	ctx := browser(t)
	_, url := servePage(t, pageToken)
	var body string
	if err := chromedp.Run(ctx, chromedp.Navigate(url), chromedp.WaitVisible("#login"), chromedp.Text("body", &body)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "n1") {
		t.Errorf("it shows the node: %s", body)
	}
	if err := chromedp.Run(ctx, chromedp.SendKeys("#token", "wrong"+kb.Enter), chromedp.WaitVisible("#login"),
		chromedp.WaitVisible("#health.warn"), chromedp.SetValue("#token", pageToken), chromedp.Click("#login button"), chromedp.WaitVisible("#cores tr"), chromedp.WaitVisible("#live dd")); err != nil {
		t.Fatal(err)
	}
}
