package tpc

// inbox holds the waiting tasks of one core: one ring per priority class.
type inbox struct {
	rings [classes]*ring

	// Owned by the core: how often in a row a class held a task and a higher one
	// was served instead. Invariant: passed[i] <= passedMax[i].
	passed [classes]int
}

// passedMax is how often in a row a class may be passed over before it gets one
// turn. The highest class is never passed over, but by such a turn.
var passedMax = [classes]int{
	Background + 1: 64,
	Normal + 1:     16,
	High + 1:       8,
	Critical + 1:   0,
}

func newInbox(length int) *inbox {
	in := new(inbox)
	for i := range in.rings {
		in.rings[i] = newRing(length)
	}
	return in
}

// pop takes the task that is to run next, or returns nil. Core only.
func (in *inbox) pop() Task {
	best := -1
	for i := classes - 1; i >= 0; i-- {
		switch {
		case !in.rings[i].ready():
		case best < 0:
			best = i
		case in.passed[i] == passedMax[i]:
			in.passed[i] = 0
			return in.rings[i].pop()
		default:
			in.passed[i]++
		}
	}
	if best < 0 {
		return nil
	}
	in.passed[best] = 0
	return in.rings[best].pop()
}

// ready reports whether pop would return a task. Core only.
func (in *inbox) ready() bool {
	for _, r := range in.rings {
		if r.ready() {
			return true
		}
	}
	return false
}

func (in *inbox) publish() {
	for _, r := range in.rings {
		r.publish()
	}
}

func (in *inbox) depth() int {
	n := 0
	for _, r := range in.rings {
		n += r.depth()
	}
	return n
}

func (in *inbox) close() {
	for _, r := range in.rings {
		r.close()
	}
}

func (in *inbox) drained() bool {
	for _, r := range in.rings {
		if !r.drained() {
			return false
		}
	}
	return true
}
