package cli

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Main runs app on the process's own arguments and streams and exits.
//
// The first SIGINT or SIGTERM cancels the context with an [Interrupt] as its
// cause, so that the verb can drain; a second one ends the process at once,
// which a node survives like any crash. SIGPIPE becomes a write error: a verb
// that feeds head still closes its node.
func Main(app *App) {
	sparePs()
	ctx, stop := withSignals(context.Background())
	code := app.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// smallMachine is up to how many CPUs a machine needs spare scheduler slots.
const smallMachine = 4

// sparePs raises GOMAXPROCS on a small machine, unless the environment says how
// much it shall be. A core's thread and the log's sync each hold a scheduler
// slot while they block in the kernel, until the runtime takes it away; with
// two or four slots the clients would wait for one meanwhile. Measured on 2
// CPUs: 1.2 to 1.5 times the rate of durable puts.
func sparePs() {
	cpus := min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) // a container's limit counts
	if os.Getenv("GOMAXPROCS") == "" && cpus <= smallMachine {
		runtime.GOMAXPROCS(cpus + 2)
	}
}

func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case s := <-signals:
			cancel(&Interrupt{Signal: s})
		}
		select {
		case <-done:
		case s := <-signals:
			os.Exit(int(interruptCode(&Interrupt{Signal: s})))
		}
	}()
	return ctx, func() {
		close(done)
		signal.Stop(signals)
		signal.Stop(pipes)
		cancel(nil)
	}
}
