package resp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An export is the state at its LSN, whatever is written while its pages are taken.
func TestExport(t *testing.T) {
	r := serve(t, Options{})
	c, other := r.client(), r.client()
	long := strings.Repeat("x", pageBytesMax/3)
	for i := range 10 {
		if got := other.do("SET", fmt.Sprintf("k%d", i), long); got != "OK" {
			t.Fatal(got)
		}
	}
	other.script([2]string{"SET gone 1 PX 1000000", "OK"}, [2]string{"SELECT 3", "OK"}, [2]string{"SET k1 theirs", "OK"}, [2]string{"SELECT 0", "OK"})
	lsn := c.do("NODEDB.EXPORT", "BEGIN", "PREFIX", "k")
	if got := c.do("NODEDB.LSN"); !strings.Contains(got, "durable "+lsn+" ") {
		t.Fatalf("LSN %s, the node says %s", lsn, got)
	}
	pages := 0
	var keys []string
	for {
		page := c.do("NODEDB.EXPORT", "NEXT")
		if page == "[]" {
			break
		}
		pages++
		for _, e := range strings.Split(strings.Trim(page, "[]"), "] [") {
			f := strings.Fields(e) // key, value, expiry, LSN
			if len(f) != 4 || f[1] != long || f[2] != "0" {
				t.Fatalf("entry of %d parts with key %.20q", len(f), e)
			}
			keys = append(keys, f[0])
		}
		other.script([2]string{"SET k1 new", "OK"}, [2]string{"SET k99 new", "OK"})
		other.do("DEL", "k9", "k8")
		if got := other.do("NODEDB.CHECKPOINT"); !strings.HasPrefix(got, "[flushed") {
			t.Fatal(got)
		}
	}
	if got := strings.Join(keys, " "); got != "k0 k1 k2 k3 k4 k5 k6 k7 k8 k9" || pages < 3 {
		t.Errorf("%d pages with %s", pages, got)
	}
	const none = "-ERR there is no export of this connection: begin with NODEDB.EXPORT BEGIN"
	c.script(
		[2]string{"NODEDB.EXPORT NEXT", "-ERR the export is over"},
		[2]string{"NODEDB.EXPORT END", "OK"}, [2]string{"NODEDB.EXPORT NEXT", none}, [2]string{"NODEDB.EXPORT END", "OK"},
		[2]string{"NODEDB.EXPORT", "-ERR wrong number of arguments for 'nodedb.export' command"},
		[2]string{"NODEDB.EXPORT NEXT now", "-ERR syntax error"}, [2]string{"NODEDB.EXPORT GO", "-ERR syntax error"},
		[2]string{"NODEDB.EXPORT BEGIN PREFIX", "-ERR syntax error"}, [2]string{"NODEDB.EXPORT BEGIN COUNT 1", "-ERR syntax error"},
	)
	c.do("NODEDB.EXPORT", "BEGIN", "FROM", "g", "TO", "h")
	if got := c.do("NODEDB.EXPORT", "NEXT"); !strings.HasPrefix(got, "[[gone 1 1") {
		t.Errorf("with bounds and expiry: %s", got)
	}
	c.script([2]string{"SELECT 3", "OK"}, [2]string{"NODEDB.EXPORT NEXT", none})
	c.do("NODEDB.EXPORT", "BEGIN")
	if got := c.do("NODEDB.EXPORT", "NEXT"); !strings.HasPrefix(got, "[[k1 theirs 0 ") || strings.Contains(got, "] [") {
		t.Errorf("of another tenant: %s", got)
	}
	c.script([2]string{"RESET", "RESET"}, [2]string{"NODEDB.EXPORT NEXT", none})
}

// Who may not read may not export.
func TestExport_Rights(t *testing.T) {
	users, err := ParseUsers([]byte("user default on nopass tenants=0 +write"))
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, Options{Users: users}).client()
	if got := c.do("NODEDB.EXPORT", "BEGIN"); !strings.HasPrefix(got, "-NOPERM") {
		t.Error(got)
	}
}

// There are few exports at once, and each ends with its client.
func TestExport_Limit(t *testing.T) {
	r := serve(t, Options{})
	var all [exportsMax]*client
	for i := range all {
		all[i] = r.client()
		if got := all[i].do("NODEDB.EXPORT", "BEGIN"); strings.HasPrefix(got, "-") {
			t.Fatalf("export %d: %s", i, got)
		}
	}
	c := r.client()
	if got := c.do("NODEDB.EXPORT", "BEGIN"); !strings.HasPrefix(got, "-TRYAGAIN 8 exports are under way") {
		t.Errorf("one more: %s", got)
	}
	if got := all[0].do("NODEDB.EXPORT", "BEGIN"); strings.HasPrefix(got, "-") {
		t.Errorf("again, in place of its own: %s", got)
	}
	if err := all[0].nc.Close(); err != nil {
		t.Fatal(err)
	}
	r.waitExports(exportsMax - 1)
	if got := c.do("NODEDB.EXPORT", "BEGIN"); strings.HasPrefix(got, "-") {
		t.Errorf("in place of one that is gone: %s", got)
	}
}

// An export ends by itself when nobody asks for its next page.
func TestExport_Idle(t *testing.T) {
	r := serve(t, Options{exportIdle: 20 * time.Millisecond})
	c := r.client()
	if got := c.do("NODEDB.EXPORT", "BEGIN"); strings.HasPrefix(got, "-") {
		t.Fatal(got)
	}
	r.waitExports(0)
	if got := c.do("NODEDB.EXPORT", "NEXT"); got != "-ERR the export was given up, as nobody asked for its next page for 20ms: begin again" {
		t.Error(got)
	}
}

func (r *rig) waitExports(n int32) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); r.s.exports.Load() != n; {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%d exports are open, want %d", r.s.exports.Load(), n)
		}
	}
}
