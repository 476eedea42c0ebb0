package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Code is an exit code. The numbers are part of the command line's contract.
type Code int

// Exit codes.
const (
	CodeOK          Code = 0   // done
	CodeError       Code = 1   // any other error
	CodeUsage       Code = 2   // the command line is wrong
	CodeCorrupt     Code = 3   // data is damaged
	CodeOutside     Code = 4   // target is outside the window
	CodeGap         Code = 5   // a gap is in the way
	CodeUnreachable Code = 6   // store cannot be reached: unknown is not absent
	CodeFenced      Code = 7   // fenced, or the timeline is ambiguous
	CodeCold        Code = 8   // object is in cold storage
	CodePipe        Code = 141 // the reader of standard output went away
)

var codeNames = map[Code]string{
	CodeOK: "ok", CodeError: "error", CodeUsage: "usage", CodeCorrupt: "corrupt",
	CodeOutside: "outside-window", CodeGap: "gap", CodeUnreachable: "unreachable",
	CodeFenced: "fenced", CodeCold: "cold", CodePipe: "pipe",
}

// String is the code's name as it appears in JSON.
func (c Code) String() string {
	if n, ok := codeNames[c]; ok {
		return n
	}
	if c > 128 {
		return "interrupted"
	}
	return "error"
}

// Error is a failure with the exit code and the advice that belong to it.
type Error struct {
	Code Code
	Err  error
	Hint string // the nearest thing that would work, may be empty
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Usagef is a complaint about the command line.
func Usagef(format string, args ...any) error {
	return &Error{Code: CodeUsage, Err: fmt.Errorf(format, args...)}
}

// Hint attaches advice to err without changing its text or its code.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: -1, Err: err, Hint: fmt.Sprintf(format, args...)}
}

// Classifier knows the errors of some packages: it says which code err has and
// what could be done, or ok=false when err is not one of its own.
type Classifier func(err error) (code Code, hint string, ok bool)

// Interrupt is the cause of a context that a signal cancelled.
type Interrupt struct{ Signal os.Signal }

// Error implements error.
func (i *Interrupt) Error() string { return "stopped by " + i.Signal.String() }

// classify finds the code and the advice for err. Explicit [Error] values win,
// then the app's classifiers, then what this package knows.
func classify(ctx context.Context, err error, classifiers []Classifier) (Code, string) {
	code, hint := Code(-1), ""
	for e, ok := errors.AsType[*Error](err); ok; e, ok = errors.AsType[*Error](e.Err) {
		if hint == "" {
			hint = e.Hint
		}
		if code < 0 {
			code = e.Code
		}
	}
	if code >= 0 {
		return code, hint
	}
	if i, ok := errors.AsType[*Interrupt](context.Cause(ctx)); ok && isCancel(err) {
		return interruptCode(i), hint
	}
	if errors.Is(err, syscall.EPIPE) {
		return CodePipe, hint
	}
	for _, f := range classifiers {
		c, h, ok := f(err)
		if !ok {
			continue
		}
		if code < 0 {
			code = c // the first that knows the error; later ones may have advice
		}
		if hint == "" {
			hint = h
		}
	}
	if code < 0 {
		code = CodeError
	}
	return code, hint
}

func isCancel(err error) bool {
	_, interrupted := errors.AsType[*Interrupt](err)
	return interrupted || errors.Is(err, context.Canceled)
}

func interruptCode(i *Interrupt) Code {
	if s, ok := i.Signal.(syscall.Signal); ok {
		return Code(128 + int(s))
	}
	return CodeError
}
