package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// App is a command: a name and its verbs.
type App struct {
	Name        string
	Usage       string // one line
	Description string
	Verbs       []*Verb
	Classifiers []Classifier
}

// Verb is one command, or a group of commands when Verbs is not empty.
type Verb struct {
	Name        string
	Usage       string // one line
	Description string
	Category    string
	Args        string // "KEY VALUE", "[FILE]": for people, and checked against ArgsMin, ArgsMax
	ArgsMin     int
	ArgsMax     int // -1: no limit
	Hidden      bool
	LogLevel    string // default of --log-level; "" is warn
	Flags       []ucli.Flag
	Elsewhere   map[string]string // flags that only other verbs have, and what to do instead
	Verbs       []*Verb
	Run         func(*Call) error
}

// Run executes one command line (args without the program's name) and returns
// the exit code. It writes nothing outside stdout and stderr, reads the
// environment only through flags, and may be called many times in a process.
func (a *App) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == completeVerb {
		a.complete(stdout, args[1:])
		return int(CodeOK)
	}
	s := &session{app: a, stdin: stdin, stdout: stdout, stderr: &muxWriter{w: stderr}}
	defer s.announceStop(ctx)()
	line, err := a.arrange(args)
	s.given = line.names
	if err == nil {
		err = s.dispatch(ctx, line)
	}
	return s.finish(ctx, line, err)
}

// session is one execution of a command line.
type session struct {
	app      *App
	stdin    io.Reader
	stdout   io.Writer
	stderr   *muxWriter
	given    []string // flags on the command line
	answered bool     // the JSON document is written
}

// announceStop tells at once that a signal was heard, since draining may take
// a while. The returned function ends the watch.
func (s *session) announceStop(ctx context.Context) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		if i, ok := errors.AsType[*Interrupt](context.Cause(ctx)); ok {
			fmt.Fprintf(s.stderr, "%v: stopping (once more to quit at once)\n", i.Signal)
		}
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

func (s *session) dispatch(ctx context.Context, line commandLine) error {
	switch {
	case line.version:
		return writeVersion(s.stdout, s.app.Name, line.json)
	case line.help:
		return s.app.writeHelp(s.stdout, line.path)
	case line.incomplete:
		// Help belongs to the complaint, so it goes where the complaint goes.
		if err := s.app.writeHelp(s.stderr, line.path); err != nil {
			return err
		}
		return Usagef("%s needs a command", strings.Join(line.path, " "))
	}
	return s.program(ctx).RunContext(ctx, line.argv())
}

// program builds the parser. It is built anew for each run because urfave/cli
// keeps values in the flags themselves.
func (s *session) program(ctx context.Context) *ucli.App {
	p := &ucli.App{
		Name:                      s.app.Name,
		HelpName:                  s.app.Name,
		Reader:                    s.stdin,
		Writer:                    s.stderr,
		ErrWriter:                 s.stderr,
		HideVersion:               true,
		HideHelp:                  true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*ucli.Context, error) {},
		OnUsageError:              usageError,
	}
	for _, v := range s.app.Verbs {
		p.Commands = append(p.Commands, s.command(ctx, v))
	}
	return p
}

func (s *session) command(ctx context.Context, v *Verb) *ucli.Command {
	c := &ucli.Command{
		Name: v.Name, Args: v.ArgsMax != 0, HideHelp: true, OnUsageError: usageError,
	}
	for _, sub := range v.Verbs {
		c.Subcommands = append(c.Subcommands, s.command(ctx, sub))
	}
	if v.Run == nil {
		return c
	}
	c.Flags = v.flags()
	withEnv(c.Flags)
	c.Action = func(uc *ucli.Context) error {
		call, err := s.call(ctx, v, uc)
		if err != nil {
			return err
		}
		defer call.EndProgress()
		return v.Run(call)
	}
	return c
}

func usageError(_ *ucli.Context, err error, _ bool) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Usagef("%w", err)
}

// finish reports err and turns it into the exit code.
func (s *session) finish(ctx context.Context, line commandLine, err error) int {
	if err == nil {
		return int(CodeOK)
	}
	code, hint := classify(ctx, err, s.app.Classifiers)
	if code == CodePipe {
		return int(code)
	}
	if code > 128 && hint == "" {
		if i, ok := errors.AsType[*Interrupt](context.Cause(ctx)); ok && !errors.Is(err, i) {
			err = fmt.Errorf("%w: %w", i, err)
		}
	}
	name := s.app.Name
	if len(line.path) > 1 {
		name = strings.Join(line.path, " ")
	}
	fmt.Fprintf(s.stderr, "%s: %v\n", name, err)
	if hint == "" && code == CodeUsage {
		hint = fmt.Sprintf("see %s --help", name)
	}
	if hint != "" {
		fmt.Fprintf(s.stderr, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
	if line.json && !s.answered {
		// When standard output fails too, standard error has told already.
		_ = writeJSON(s.stdout, failure{Error: failureBody{Code: int(code), Kind: code.String(), Message: err.Error(), Hint: hint}})
	}
	return int(code)
}

type failure struct {
	Error failureBody `json:"error"`
}

type failureBody struct {
	Code    int    `json:"code"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
