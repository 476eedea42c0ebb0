package redistest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// input is one operation on one key, which holds a number or nothing.
type input struct {
	verb     string // GET, SET, INCR, DEL or CAS
	key      string
	old, new string // "" is nothing
}

// output is its answer. An unknown one may have happened or not: the history has it
// end after everything else, where it can stand without being seen.
type output struct {
	unknown bool
	value   string
}

// model is one key of a Redis.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := op.Input.(input).key
			byKey[key] = append(byKey[key], op)
		}
		return slices.Collect(maps.Values(byKey))
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) { return step(state.(string), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		if o.unknown {
			return fmt.Sprintf("%s %s→%s: unknown", i.verb, i.old, i.new)
		}
		return fmt.Sprintf("%s %s→%s: %s", i.verb, i.old, i.new, o.value)
	},
}

// step tells whether an operation can have its answer in a state, and the state
// behind it.
func step(state string, in input, out output) (bool, string) {
	switch in.verb {
	case "GET":
		return out.unknown || out.value == state, state
	case "SET":
		return true, in.new
	case "INCR":
		n, _ := strconv.Atoi(state) // nothing counts as 0
		next := strconv.Itoa(n + 1)
		return out.unknown || out.value == next, next
	case "DEL":
		was := "0"
		if state != "" {
			was = "1"
		}
		return out.unknown || out.value == was, ""
	case "CAS":
		if state == in.old {
			return true, in.new
		}
		return out.unknown, state
	}
	panic("no model of " + in.verb)
}
