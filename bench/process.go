package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// childArg as the first argument makes this program a child.
const childArg = "side"

// process is a child with one side in it.
type process struct {
	name    string // the side
	procs   int    // its GOMAXPROCS
	options map[string]string
	who     string // the setting, for the table
	dir     string // its data
	cmd     *exec.Cmd
	in      io.WriteCloser
	enc     *json.Encoder
	out     *json.Decoder
}

// start runs this program once more as a side.
func start(name string, procs int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	cmd := exec.Command(self, childArg, name)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &process{
		name: name, procs: procs, cmd: cmd, in: in,
		enc: json.NewEncoder(in), out: json.NewDecoder(bufio.NewReader(out)),
	}, nil
}

// label names the side and its setting for the table.
func (p *process) label() string { return p.who }

// call sends c and waits for the answer.
func (p *process) call(c call) (sample, error) {
	if err := p.enc.Encode(c); err != nil {
		return sample{}, fmt.Errorf("%s %s: %w", p.name, c.Op, err)
	}
	var r reply
	if err := p.out.Decode(&r); err != nil {
		return sample{}, fmt.Errorf("%s %s: no answer: %w", p.name, c.Op, err)
	}
	if r.Error != "" {
		return r.Sample, fmt.Errorf("%s %s: %s", p.name, c.Op, r.Error)
	}
	return r.Sample, nil
}

// stop closes the engine and waits for the process to end.
func (p *process) stop() error {
	_, err := p.call(call{Op: "close"})
	return errors.Join(err, p.in.Close(), p.cmd.Wait())
}

// kill ends the process at once, as a crash does. The page cache survives.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed
	_ = p.in.Close()
}

// runChild answers the calls on in until it ends.
func runChild(name string, in io.Reader, out io.Writer) error {
	make, ok := sides[name]
	if !ok {
		return fmt.Errorf("unknown side %q", name)
	}
	s := make()
	dec, enc := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var c call
		if err := dec.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read call: %w", err)
		}
		sam, err := serve(s, c)
		r := reply{Sample: sam}
		if err != nil {
			r.Error = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write reply: %w", err)
		}
	}
}
