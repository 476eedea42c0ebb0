package pitr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb-go/nodedb/archive"
)

// answers are the last ones of the stores that were asked for one object, none
// of which gave it.
type answers struct {
	s       *sources
	last    map[int]error
	decides error
}

// add notes what a store answered. The answer that leaves most hope decides what
// the whole is.
func (a *answers) add(store int, err error) {
	a.last[store] = err
	if a.decides == nil || hope(err) >= hope(a.decides) {
		a.decides = err
	}
}

// hope ranks answers: a store that may answer later, before an object that is
// there and cannot be read now, before one that is damaged, before none.
func hope(err error) int {
	switch {
	case archive.Retryable(err):
		return 4
	case errors.Is(err, archive.ErrNotFound), errors.Is(err, archive.ErrNoStore):
		return 1
	case errors.Is(err, archive.ErrCorrupt):
		return 2
	}
	return 3
}

// err is the one answer, or an *everywhereError with all of them.
func (a *answers) err() error {
	switch len(a.last) {
	case 0:
		return a.s.nowhere()
	case 1:
		return a.decides
	}
	e := &everywhereError{decides: a.decides}
	for store, err := range a.last {
		e.texts = append(e.texts, fmt.Sprintf("%s: %v", a.s.archives[store].Store().URL(), err))
	}
	slices.Sort(e.texts)
	return e
}

// everywhereError is an object that no store gave. Its class is that of the
// answer that decides: unknown before absent.
type everywhereError struct {
	texts   []string // one for each store
	decides error
}

func (e *everywhereError) Error() string {
	return fmt.Sprintf("none of %d stores gave it: %s", len(e.texts), strings.Join(e.texts, "; "))
}

func (e *everywhereError) Unwrap() error { return e.decides }
