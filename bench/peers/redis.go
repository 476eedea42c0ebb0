package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// redisLoad is one way to use a server.
type redisLoad struct {
	name, goal  string
	test        string // of redis-benchmark
	clients     int
	pipeline    int
	requests    int
	latencyGoal string // of the 99th percentile; empty: not asked for
	tables      bool   // our node makes a checkpoint first, so that nothing is read from memory alone
}

// The sets come first: the gets find their keys.
var redisLoads = []redisLoad{
	{"SET -c 50", "≥ 1.5×", "set", 50, 1, 40_000, "≥ 1.43×", false},
	{"SET -c 256", "≥ 2×", "set", 256, 1, 60_000, "", false},
	{"SET -c 50 -P 16", "≥ 1.5×", "set", 50, 16, 200_000, "", false},
	{"GET -c 50", "≥ 0.8×", "get", 50, 1, 100_000, "", false},
	{"GET -c 50 -P 16", "≥ 0.8×", "get", 50, 16, 400_000, "", false},
	{"GET -c 50, from tables", "", "get", 50, 1, 100_000, "", true},
	{"GET -c 50 -P 16, from tables", "", "get", 50, 16, 400_000, "", true},
}

// redis compares serving Redis clients with redis-server, when both have a write on
// the disk before they answer it. redis-benchmark is the client of both, with values
// of 128 bytes and 100,000 keys.
func redis(ctx context.Context, r *rig) (err error) {
	ports := [2]string{}
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return err
		}
	}
	if err := os.Mkdir(r.path("redis"), 0o755); err != nil {
		return err
	}
	ours, stopOurs, err := r.start(nil, r.path("nodedb.log"), r.ours("nodedb"), "serve", "--admin", "off", "--dir", r.path("node"), "--addr", "127.0.0.1:"+ports[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopOurs()) }()
	theirs, stopTheirs, err := r.start(nil, r.path("redis.log"), "redis-server", "--bind", "127.0.0.1", "--port", ports[1], "--dir", r.path("redis"),
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopTheirs()) }()
	for _, p := range ports {
		if err := awaitPort(ctx, p); err != nil {
			return err
		}
	}
	var rows []row
	for _, l := range redisLoads {
		if l.tables {
			if _, err := r.command(ctx, r.ours("nodedb"), "checkpoint", "--addr", "127.0.0.1:"+ports[0]); err != nil {
				return err
			}
		}
		if err := r.load(ctx, l, ports); err != nil {
			return err
		}
		rows = append(rows, row{l.name, l.goal, "requests", float64(l.requests)})
		if l.latencyGoal != "" {
			rows = append(rows, row{l.name + ", p99", l.latencyGoal, "", 0})
		}
	}
	if err := r.print(rows...); err != nil {
		return err
	}
	for i, pid := range []int{ours.Process.Pid, theirs.Process.Pid} {
		if err := idle(ctx, []string{"ours", "theirs"}[i], ports[i], pid); err != nil {
			return err
		}
	}
	return nil
}

// load runs redis-benchmark against both in turns. A rate is noted as the time that
// all requests take at it.
func (r *rig) load(ctx context.Context, l redisLoad, ports [2]string) error {
	side := func(i int) func(int) (time.Duration, error) {
		return func(int) (time.Duration, error) {
			rate, p99, err := r.redisBenchmark(ctx, l, ports[i])
			if err != nil {
				return 0, err
			}
			name := l.name + ", p99 " + []string{"ours", "theirs"}[i]
			r.times[name] = append(r.times[name], p99)
			return time.Duration(float64(l.requests) / rate * float64(time.Second)), nil
		}
	}
	return r.inTurns(l.name, side(0), side(1))
}

// redisBenchmark gives the requests per second and the 99th percentile.
func (r *rig) redisBenchmark(ctx context.Context, l redisLoad, port string) (rate float64, p99 time.Duration, err error) {
	out, err := r.command(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", l.test, "-c", strconv.Itoa(l.clients), "-P", strconv.Itoa(l.pipeline),
		"-n", strconv.Itoa(l.requests), "-r", "100000", "-d", "128", "--csv")
	if err != nil {
		return 0, 0, err
	}
	lines, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(lines) != 2 {
		return 0, 0, fmt.Errorf("redis-benchmark: want a head and a line, %w: %q", err, out)
	}
	field := func(name string) float64 {
		for i, h := range lines[0] {
			if h == name {
				v, perr := strconv.ParseFloat(lines[1][i], 64)
				err = errors.Join(err, perr)
				return v
			}
		}
		err = errors.Join(err, fmt.Errorf("redis-benchmark tells no %s: %q", name, out))
		return 0
	}
	rate, p99 = field("rps"), time.Duration(field("p99_latency_ms")*float64(time.Millisecond))
	return rate, p99, err
}

// idle measures what 1,000 connections cost that ask nothing.
func idle(ctx context.Context, side, port string, pid int) error {
	const clients, window = 1000, 10 * time.Second
	for range clients {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 16)); err != nil {
			return err
		}
	}
	before, err := cpuTime(pid)
	if err != nil {
		return err
	}
	timer := time.NewTimer(window)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	after, err := cpuTime(pid)
	fmt.Printf("idle with %d connections, %s: %.2f%% of one CPU\n", clients, side, 100*float64(after-before)/float64(window))
	return err
}

// cpuTime is what a process has used, of user and system time.
func cpuTime(pid int) (time.Duration, error) {
	const tick = time.Second / 100 // USER_HZ
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // from the third on
	user, err := strconv.Atoi(string(f[11]))
	system, serr := strconv.Atoi(string(f[12]))
	return time.Duration(user+system) * tick, errors.Join(err, serr)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// awaitPort waits until somebody listens.
func awaitPort(ctx context.Context, port string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}
