package tpc_test

import (
	"context"
	"fmt"

	"github.com/nodedb-go/nodedb/tpc"
)

// add is a task on a counter that its core owns: no lock guards it.
type add struct {
	header tpc.Header
	waiter tpc.Waiter
	to     *int
	n, sum int
	err    error
}

func (a *add) Header() *tpc.Header { return &a.header }

func (a *add) Run(*tpc.Core) {
	*a.to += a.n
	a.sum = *a.to
	a.waiter.Done()
}

func (a *add) Fail(err error) {
	a.err = err
	a.waiter.Done()
}

func Example() {
	ctx := context.Background()
	r, err := tpc.New(&tpc.Options{Cores: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close(ctx)

	var counter int // of core 0
	task := &add{to: &counter}
	for n := range 3 {
		task.n = n + 1
		if err := r.Core(0).Submit(task); err != nil {
			fmt.Println(err)
			return
		}
		if err := task.waiter.Wait(ctx); err != nil {
			return // the task still belongs to the core
		}
		fmt.Println(task.sum, task.err)
	}
	// Output:
	// 1 <nil>
	// 3 <nil>
	// 6 <nil>
}
