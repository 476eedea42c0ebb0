package archive

import "fmt"

const rewrapErrsMax = 20

// RewrapError: a rewrap came to its end, and some contents stayed as they were.
type RewrapError struct {
	Failed int64   // contents
	Errs   []error // of the first of them
}

// Error tells how many there are, and the first.
func (e *RewrapError) Error() string {
	noun := "contents"
	if e.Failed == 1 {
		noun = "content"
	}
	return fmt.Sprintf("%d %s could not be encrypted again, and stay as they were; the first: %v", e.Failed, noun, e.Errs[0])
}

// Unwrap gives the errors that are kept.
func (e *RewrapError) Unwrap() []error { return e.Errs }
