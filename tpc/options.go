package tpc

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// Options tune a Runtime. A nil pointer and zero fields mean the defaults.
type Options struct {
	// Cores is the number of cores; default: one per CPU that Go may use
	// (GOMAXPROCS), at most CoresMax.
	Cores int

	// NewDriver makes the driver of a core, on the goroutine that calls New.
	// Default: a driver that does nothing.
	NewDriver func(core int) Driver

	// QueueLen is the number of waiting tasks per core and priority class,
	// rounded up to a power of two; default 1024.
	QueueLen int

	// TasksPerIteration bounds a run of tasks between two calls of Flush;
	// default 256.
	TasksPerIteration int

	// IdlePoll is how long a core sleeps at most before it looks around without
	// having been woken; default 100 ms.
	IdlePoll time.Duration

	// SpinMax bounds a core's spinning before it parks; default 50 µs, negative:
	// never spin. How much of it is used is learned from recent waits.
	SpinMax time.Duration

	// Pin binds core i's thread to the i-th CPU that the process may use, counted
	// round robin. Default: threads are locked to their core but float.
	Pin bool

	// PanicsMax panics within PanicWindow degrade a core for CoolDown; defaults
	// 3, 60 s and 30 s.
	PanicsMax   int
	PanicWindow time.Duration
	CoolDown    time.Duration

	// MaintainInterval is the time from one Driver.Maintain round to the next;
	// default 600 s, negative: never. MaintainBudget is what one call is told to
	// take at most; default 2 ms.
	MaintainInterval time.Duration
	MaintainBudget   time.Duration

	// ArenaBytes limits each core's Arena; default 1 GiB. Memory is taken from
	// the system only when it is used.
	ArenaBytes int64

	// For tests and embedding.
	Logger *slog.Logger     // default slog.Default()
	Clock  func() time.Time // default time.Now: deadlines, watchdog, maintenance
}

// CoresMax bounds Options.Cores.
const CoresMax = 1024

const queueLenMax = 1 << 20

func (o *Options) withDefaults() *Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.NewDriver == nil {
		d.NewDriver = func(int) Driver { return NopDriver{} }
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	setDefault(&d.Cores, min(runtime.GOMAXPROCS(0), CoresMax))
	setDefault(&d.QueueLen, 1024)
	setDefault(&d.TasksPerIteration, 256)
	setDefault(&d.IdlePoll, 100*time.Millisecond)
	setDefault(&d.SpinMax, 50*time.Microsecond)
	setDefault(&d.PanicsMax, 3)
	setDefault(&d.PanicWindow, 60*time.Second)
	setDefault(&d.CoolDown, 30*time.Second)
	setDefault(&d.MaintainInterval, 600*time.Second)
	setDefault(&d.MaintainBudget, 2*time.Millisecond)
	setDefault(&d.ArenaBytes, 1<<30)
	return &d
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("tpc: "+format, args...))
		}
	}
	check(o.Cores >= 1 && o.Cores <= CoresMax, "Cores %d: want 1 to %d", o.Cores, CoresMax)
	check(o.QueueLen >= 1 && o.QueueLen <= queueLenMax, "QueueLen %d: want 1 to %d", o.QueueLen, queueLenMax)
	check(o.TasksPerIteration >= 1, "TasksPerIteration %d: want at least 1", o.TasksPerIteration)
	check(o.IdlePoll >= time.Millisecond, "IdlePoll %s: want at least 1ms", o.IdlePoll)
	check(o.SpinMax <= 10*time.Millisecond, "SpinMax %s: want at most 10ms", o.SpinMax)
	check(o.PanicsMax >= 1 && o.PanicsMax <= 1000, "PanicsMax %d: want 1 to 1000", o.PanicsMax)
	check(o.PanicWindow > 0, "PanicWindow %s: want more than 0", o.PanicWindow)
	check(o.CoolDown > 0, "CoolDown %s: want more than 0", o.CoolDown)
	check(o.MaintainBudget > 0, "MaintainBudget %s: want more than 0", o.MaintainBudget)
	check(o.ArenaBytes >= 0, "ArenaBytes %d: want 0 or more", o.ArenaBytes)
	return errors.Join(errs...)
}
