package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb-go/nodedb/internal/resp"
)

// childDir makes this program serve the node of that directory.
const childDir = "NODEDB_REDISTEST_DIR"

// child serves until it is killed. Its first line is the address.
func child(dir string) int {
	err := func() error {
		n, err := open(dir)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		return resp.New(resp.Options{Node: n}).Serve(l)
	}()
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// process is a served node that can be killed.
type process struct {
	addr string
	cmd  *exec.Cmd
	gone chan error
}

// launch starts a child and returns when it serves.
func launch(t *testing.T, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), gone: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), childDir+"="+dir)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { // the kernel takes the end of the starting thread for the parent's
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		line := ""
		if err == nil {
			line, err = bufio.NewReader(out).ReadString('\n')
			p.addr = strings.TrimSpace(line)
		}
		started <- err
		if p.cmd.Process != nil {
			p.gone <- p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start a served node: %v", err)
	}
	return p
}

// kill ends it at once.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.gone
	return nil
}
