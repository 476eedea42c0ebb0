// Package tpc is the thread-per-core runtime: a fixed number of cores, each one
// goroutine locked to its own operating-system thread, each with a bounded inbox
// and a plain loop. What a core owns is touched by that core only, so it needs
// no locks. The package knows nothing of logs, disks or keys: a [Driver] brings
// the work that surrounds the tasks.
//
// # Life of a task
//
//	client                         core thread
//	  │ Submit(task) ───ring──▶  pop by priority
//	  │   refused at once:         │ cancelled? deadline passed? degraded?  → task.Fail(err)
//	  │   ErrOverloaded            │ task.Run(core) ── panic ─▶ Driver.Recovered, task.Fail(*PanicError)
//	  │   ErrCoreDegraded          ▼
//	  │   ErrClosed              Driver.Flush(core, more)      after at most 256 tasks
//	  │                            ·
//	  │                            · Core.Wake() from any thread
//	  │                            ▼
//	  ◀── Waiter.Done ────────── Driver.Poll(core)             what became ready meanwhile
//
// Ownership of a task passes to the core when Submit returns nil, and back to
// the client when the task answers. A refused task never left the client. A task
// that was accepted is answered exactly once: by itself (during Run, or later by
// the driver that staged it), or by Fail.
//
// # The loop
//
//	for {
//	    Poll → up to 256 tasks → Flush → (Maintain, when due, in slices)
//	    answered somebody who has no processor yet?  yield to them
//	    work left, or signalled?  go on
//	    spin for as long as recent waits say that it pays
//	    parked = 1; look again; poll(eventfd, 100 ms)
//	}
//
// A producer publishes first and reads parked second; the core writes parked
// first and looks at its queues second. Both use sequentially consistent
// atomics, so at least one of them sees the other: no wake-up is lost. Only the
// producer that turns parked from 1 to 0 writes to the eventfd, so there is one
// system call per park and none while the core is awake.
//
// # Priorities
//
// The highest class that holds a task goes first, looked at anew for every task.
// A lower class that was passed over a fixed number of times in a row (High 8,
// Normal 16, Background 64) gets one turn, so none starves.
//
// # Faults
//
// One recover stands around a run of tasks. A panic answers its own task at once
// with a [*PanicError]; the tasks behind it run on. Panics are counted in a
// sliding window that successes do not reset; too many of them degrade the core:
// for a cool-down it answers everything with a [*DegradedError] that says when
// to come back, except tasks whose header says Control (checkpoints, health).
// runtime.Goexit inside a task is treated as a panic, and the core goes on with
// a new thread. What the Go runtime declares fatal (concurrent map writes,
// stack exhaustion, out of memory) cannot be recovered by anybody; a bad pointer
// into an [Arena] can, because core threads run with debug.SetPanicOnFault.
//
// # Threads
//
// A core's goroutine never unlocks its thread: it exits locked, so that the
// thread, with its affinity mask, dies with it and is not handed to others.
package tpc
