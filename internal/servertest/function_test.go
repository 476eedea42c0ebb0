package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// function is a built program of a function, and the runtime API of AWS Lambda
// that it asks for work: it gets one event at a time from invocation/next, and
// posts its response or its error.
type function struct {
	events  chan []byte
	answers chan answer
	exited  chan struct{}
	cmd     *exec.Cmd
	output  lockedBuffer
	end     func()
}

type answer struct {
	failed bool
	body   []byte
}

const (
	apiPath       = "/2018-06-01/runtime/"
	invokeTimeout = time.Minute
)

// startFunction runs the program at path until the test ends.
func startFunction(t testing.TB, path string, env ...string) *function {
	t.Helper()
	f := &function{events: make(chan []byte), answers: make(chan answer), exited: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	api := httptest.NewServer(f.api(ctx))
	f.cmd = exec.Command(path)
	f.cmd.Stdout, f.cmd.Stderr = &f.output, &f.output
	f.cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=index",
		"AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+SecretKey, "AWS_REGION=us-east-1")
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go keep(f.cmd, started, f.exited)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	f.end = sync.OnceFunc(func() {
		_ = f.cmd.Process.Kill() // as Lambda ends it
		<-f.exited
		cancel()
		api.Close()
	})
	t.Cleanup(f.end)
	return f
}

// api is the runtime API.
func (f *function) api(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	n := 0 // the function asks for one event after the other
	mux.HandleFunc("GET "+apiPath+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case event := <-f.events:
			n++
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", strconv.Itoa(n))
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(invokeTimeout).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:index")
			_, _ = w.Write(event)
		case <-r.Context().Done():
		case <-ctx.Done():
		}
	})
	take := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			w.WriteHeader(http.StatusAccepted)
			select {
			case f.answers <- answer{failed, body}:
			case <-ctx.Done():
			}
		}
	}
	mux.HandleFunc("POST "+apiPath+"invocation/{id}/response", take(false))
	mux.HandleFunc("POST "+apiPath+"invocation/{id}/error", take(true))
	mux.HandleFunc("POST "+apiPath+"init/error", take(true))
	return mux
}

// invoke has one event handled.
func (f *function) invoke(t testing.TB, event, result any) {
	t.Helper()
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	over := time.After(invokeTimeout)
	select {
	case f.events <- body:
	case <-f.exited:
		t.Fatalf("the function ended:\n%s", f.log())
	case <-over:
		t.Fatalf("the function does not ask for an event:\n%s", f.log())
	}
	select {
	case a := <-f.answers:
		if err := json.Unmarshal(a.body, result); a.failed || err != nil {
			t.Fatalf("the function answers %s (failed: %v, %v)\n%s", a.body, a.failed, err, f.log())
		}
	case <-f.exited:
		t.Fatalf("the function ended:\n%s", f.log())
	case <-over:
		t.Fatalf("the function does not answer:\n%s", f.log())
	}
}

func (f *function) log() string { return f.output.String() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// programs are those of the product, built once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(tempDir, "programs-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", dir+string(filepath.Separator), "./lambda/cmd/index", "./cmd/nodedb", "./cmd/pitr-restore")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
})

// built gives the path of one of them.
func built(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}
