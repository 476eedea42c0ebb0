package servertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	pollInterval = 20 * time.Millisecond
	stopTimeout  = 10 * time.Second
)

// Server is a running store.
type Server struct {
	Endpoint string // http://127.0.0.1:port

	program   program
	dir, addr string
	log       *os.File
	cmd       *exec.Cmd
	exited    chan struct{} // closed when the process is gone
}

// program is how a server is started and asked whether it is up.
type program struct {
	name  string
	path  string
	args  func(addr, data string) []string
	env   []string
	ready string // path below the endpoint; any answer but 5xx will do
}

// start runs p on a free loopback port with its data below dir, and returns
// when it answers.
func start(ctx context.Context, p program, dir string) (*Server, error) {
	// The port is free now; nobody else on this machine asks for it by number.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("free the port: %w", err)
	}
	s := &Server{Endpoint: "http://" + addr, program: p, dir: dir, addr: addr}
	return s, s.Restart(ctx)
}

// buildTool gives the path of a program that the go.mod in dir names as a tool,
// building it when the go command's cache does not hold it. Without env it is
// built without C.
func buildTool(ctx context.Context, dir, tool string, env ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", tool)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", tool, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Restart starts the server again, after Kill, with the same data and port.
func (s *Server) Restart(ctx context.Context) error {
	for _, sub := range []string{"data", "home"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o750); err != nil {
			return fmt.Errorf("make the server's directory: %w", err)
		}
	}
	var err error
	s.log, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	s.cmd = exec.Command(s.program.path, s.program.args(s.addr, filepath.Join(s.dir, "data"))...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Env = append([]string{
		"HOME=" + filepath.Join(s.dir, "home"), "PATH=" + os.Getenv("PATH"), "GOMAXPROCS=2", "GOMEMLIMIT=1GiB",
	}, s.program.env...)
	// A test process that is killed takes its server along.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.exited = make(chan struct{})
	started := make(chan error)
	go keep(s.cmd, started, s.exited)
	if err := <-started; err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", s.program.name, err), s.log.Close())
	}
	return s.awaitReady(ctx)
}

// keep starts the process and stays with it. The kernel counts the end of the
// thread that started it as the parent's death, and the node under test ends
// threads; so this goroutine keeps one for itself as long as the server runs.
func keep(cmd *exec.Cmd, started chan<- error, exited chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(exited)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ended is in its log
	}
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+s.program.ready, http.NoBody)
		if err != nil {
			return fmt.Errorf("ask the server: %w", err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s ended at start:\n%s", s.program.name, s.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer: %w\n%s", s.program.name, ctx.Err(), s.Log()), s.Kill())
		case <-tick.C:
		}
	}
}

// Log is what the server printed.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Kill ends the server at once, as a crash does; its data stays.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop ends the server in order.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) error {
	err := s.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		err = errors.Join(err, s.cmd.Process.Kill())
		<-s.exited
	}
	return errors.Join(err, s.log.Close())
}
