package resp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Every way in which a client comes to a goroutine and back, in one pipeline that
// arrives in pieces of every size: the answers come in order, each once.
func TestLoop_Aside(t *testing.T) {
	r := serve(t, Options{})
	large := strings.Repeat("v", 3*loopBuffer)
	var in, want strings.Builder
	add := func(answer string, words ...string) {
		in.WriteString(request(words...))
		want.WriteString(answer + "\n")
	}
	add("OK", "SET", "a", "1")
	add("1", "GET", "a")              // behind an update
	add("PONG", "PING")               // quick, but waits for it
	add("OK", "SET", "big", large)    // not whole in the loop's buffer
	add(large, "GET", "big")          // more than is sent at once
	add("[a big]", "KEYS", "*")       // may wait
	add("2", "INCR", "a")             // an update again
	add("OK", "MULTI")                // stays
	add("QUEUED", "INCR", "a")        // is kept beyond the buffer
	add("[3]", "EXEC")                // waits
	in.WriteString("ECHO inline\r\n") // not plain
	want.WriteString("inline\n")
	add("[3 nil]", "MGET", "a", "none")
	add("-ERR unknown command 'NOSUCH', with args beginning with: ", "NOSUCH")
	add("OK", "SET", "a{x}", "1")
	add("3", "DEL", "a", "big", "none", "a{x}") // of several vshards
	text, answers := in.String(), want.String()
	for _, piece := range []int{1 << 20, 4099, 61} {
		c := r.client()
		go func() {
			for left := text; left != ""; {
				n := min(piece, len(left))
				if _, err := c.nc.Write([]byte(left[:n])); err != nil {
					t.Error(err)
					return
				}
				left = left[n:]
			}
		}()
		var got strings.Builder
		for range strings.Count(answers, "\n") {
			fmt.Fprintln(&got, c.read())
		}
		if got.String() != answers {
			t.Errorf("in pieces of %d bytes: %.300q, want %.300q", piece, got.String(), answers)
		}
		_ = c.nc.Close()
	}
	r.gone()
}

// A client that closes its side behind a pipeline has its answers.
func TestLoop_HalfClosed(t *testing.T) {
	r := serve(t, Options{})
	c := r.client()
	c.send(strings.Repeat(request("INCR", "n"), 100))
	if err := c.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if got := c.read(); got != fmt.Sprint(i+1) {
			t.Fatalf("answer %d: %q", i, got)
		}
	}
	r.gone()
}

// Reads that are slow are a goroutine's until they are quick again.
func TestPatience(t *testing.T) {
	var p patience
	for range 4 {
		p.took(int64(time.Millisecond))
	}
	if p.short() {
		t.Error("it ends after four slow reads")
	}
	p.took(int64(time.Millisecond))
	if !p.short() {
		t.Error("it lasts for five slow reads")
	}
	for range patienceStep {
		p.took(0)
	}
	if p.short() {
		t.Error("quick reads do not bring it back")
	}
}
