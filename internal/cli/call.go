package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// Call is one run of one verb: its flags and arguments, its streams, and how
// it was asked to answer.
type Call struct {
	flags *ucli.Context
	s     *session

	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Log    *slog.Logger
	JSON   bool

	level    logLevel
	mode     string
	progress *Progress
}

func (s *session) call(ctx context.Context, v *Verb, uc *ucli.Context) (*Call, error) {
	uc.Context = ctx
	if err := s.applyConfig(v, uc); err != nil {
		return nil, err
	}
	c := &Call{
		flags: uc, s: s, Stdin: s.stdin, Stdout: s.stdout, Stderr: s.stderr,
		JSON: uc.Bool("json"), mode: uc.String("progress"),
	}
	if err := c.level.set(uc.String("log-level")); err != nil {
		return nil, err
	}
	log, err := newLogger(s.stderr, &c.level.LevelVar, uc.String("log-format"))
	if err != nil {
		return nil, err
	}
	c.Log, c.level.usual = log, v.logLevel()
	switch c.mode {
	case "auto", "bar", "json", "none":
		return c, nil
	}
	return nil, Usagef("--progress is %q, want auto, bar, json or none", c.mode)
}

func newLogger(w io.Writer, level slog.Leveler, format string) (*slog.Logger, error) {
	o := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, Usagef("--log-format is %q, want text or json", format)
}

// Context is cancelled when a signal asks the command to stop.
func (c *Call) Context() context.Context { return c.flags.Context }

// Arg is the i-th argument, "" when there is none.
func (c *Call) Arg(i int) string { return c.flags.Args().Get(i) }

// NArg is the number of arguments.
func (c *Call) NArg() int { return c.flags.NArg() }

// IsSet says whether a flag has a value that is not its default.
func (c *Call) IsSet(name string) bool { return c.flags.IsSet(name) }

// Given says whether a flag is on the command line itself.
func (c *Call) Given(name string) bool { return slices.Contains(c.s.given, name) }

// Default gives a string flag a value if nobody did.
func (c *Call) Default(name, value string) error {
	if c.flags.String(name) != "" {
		return nil
	}
	if err := c.flags.Set(name, value); err != nil {
		return fmt.Errorf("set --%s: %w", name, err)
	}
	return nil
}

// String is the value of a string flag.
func (c *Call) String(name string) string { return c.flags.String(name) }

// Strings are the values of a flag that may be repeated.
func (c *Call) Strings(name string) []string { return c.flags.StringSlice(name) }

// Bool is the value of a boolean flag.
func (c *Call) Bool(name string) bool { return c.flags.Bool(name) }

// Int is the value of an integer flag.
func (c *Call) Int(name string) int { return c.flags.Int(name) }

// Uint is the value of an unsigned flag.
func (c *Call) Uint(name string) uint { return c.flags.Uint(name) }

// Float64 is the value of a flag with a fraction.
func (c *Call) Float64(name string) float64 { return c.flags.Float64(name) }

// Uint64 is the value of an unsigned flag.
func (c *Call) Uint64(name string) uint64 { return c.flags.Uint64(name) }

// Duration is the value of a duration flag.
func (c *Call) Duration(name string) time.Duration { return c.flags.Duration(name) }

// Size is the value of a size flag in bytes.
func (c *Call) Size(name string) int64 {
	s, ok := c.flags.Generic(name).(*Size)
	if !ok {
		panic("cli: --" + name + " is not a size flag")
	}
	return int64(*s)
}

// Answer is the verb's result: doc as the JSON document, or text for people.
func (c *Call) Answer(doc any, text func(w io.Writer) error) error {
	c.EndProgress()
	if c.JSON {
		c.s.answered = true
		return writeJSON(c.Stdout, doc)
	}
	return text(c.Stdout)
}

// WriteLine is one of the results of a verb that goes on: doc with --json, as an
// object in a line, or the line for people. Nothing waits in a buffer.
func (c *Call) WriteLine(doc any, line string) error {
	c.EndProgress()
	if c.JSON {
		c.s.answered = true
		b, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		line = string(b)
	}
	_, err := fmt.Fprintln(c.Stdout, line)
	return err
}

// Notef tells people on standard error what happens.
func (c *Call) Notef(format string, args ...any) {
	fmt.Fprintf(c.Stderr, format+"\n", args...)
}

func writeJSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// muxWriter is standard error. While progress bars are drawn there, lines go
// through them, so that a log line never tears a bar.
type muxWriter struct {
	mu  sync.Mutex
	w   io.Writer
	via io.Writer // nil: straight to w
}

func (m *muxWriter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.via != nil {
		if n, err := m.via.Write(p); err == nil {
			return n, nil
		}
	}
	return m.w.Write(p)
}

func (m *muxWriter) route(via io.Writer) {
	m.mu.Lock()
	m.via = via
	m.mu.Unlock()
}
