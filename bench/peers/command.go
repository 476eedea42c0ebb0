package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// commandTimeout is far above what any step takes: a peer that hangs ends the
// run instead of holding it.
const commandTimeout = 15 * time.Minute

// environment is ours without what would bend a peer's: its own proxies and
// certificates.
func environment(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	return append(env, more...)
}

// command runs a program to its end and returns what it wrote.
func (r *rig) command(ctx context.Context, name string, args ...string) (string, error) {
	return r.commandAs(ctx, nil, nil, name, args...)
}

func (r *rig) commandAs(ctx context.Context, as *syscall.Credential, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment(env...)
	if as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		cmd.Dir = r.dir
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), stderr.String())
	}
	return out.String(), nil
}

// timed is command, and how long it took.
func (r *rig) timed(ctx context.Context, env []string, name string, args ...string) (time.Duration, error) {
	began := time.Now()
	_, err := r.commandAs(ctx, nil, env, name, args...)
	return time.Since(began), err
}

// ours is the path of one of our commands.
func (r *rig) ours(name string) string { return filepath.Join(r.bin, name) }

// path is below the run's directory.
func (r *rig) path(parts ...string) string {
	return filepath.Join(append([]string{r.dir}, parts...)...)
}

// background starts a server; stop interrupts it and waits.
func (r *rig) background(env []string, log, name string, args ...string) (stop func() error, err error) {
	_, stop, err = r.start(env, log, name, args...)
	return stop, err
}

// start is background for who asks the kernel about the process.
func (r *rig) start(env []string, log, name string, args ...string) (cmd *exec.Cmd, stop func() error, err error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(env...), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", name, err)
	}
	return cmd, func() error {
		defer func() { _ = out.Close() }()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		return cmd.Wait()
	}, nil
}
