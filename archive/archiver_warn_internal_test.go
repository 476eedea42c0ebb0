package archive

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A store that stays down is reported ever more seldom, and first at once where
// nothing else would tell.
func TestDoubled(t *testing.T) {
	for first, want := range map[int][]int{1: {1, 2, 4, 8, 16, 32}, 5: {5, 10, 20, 40}} {
		var got []int
		for n := 1; n <= 40; n++ {
			if doubled(n, first) {
				got = append(got, n)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("first %d (-want +got):\n%s", first, diff)
		}
	}
}

// A cause that begins with its class does not say it twice.
func TestStoreError_SaysItsClassOnce(t *testing.T) {
	for cause, want := range map[error]string{
		errors.New("timeout"):                            "list file:///a: archive: store does not exist: timeout",
		fmt.Errorf("%w: /a is no directory", ErrNoStore): "list file:///a: archive: store does not exist: /a is no directory",
	} {
		e := &StoreError{Op: "list", Store: "file:///a", Class: ErrNoStore, Err: cause}
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
