package cli

import (
	"errors"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// A value of the configuration file that a flag does not take is refused with what it
// would take.
func TestWanted(t *testing.T) {
	parse := errors.New("parse error")
	for _, c := range []struct {
		flag ucli.Flag
		want string
	}{
		{&ucli.BoolFlag{}, "want true or false"},
		{&ucli.IntFlag{}, "want a whole number"},
		{&ucli.Uint64Flag{}, "want a whole number, 0 or more"},
		{&ucli.Float64Flag{}, "want a number"},
		{&ucli.DurationFlag{Value: time.Second}, "want a time like 90s, 5m or 24h"},
		{&ucli.StringFlag{}, "parse error"},
	} {
		if got := wanted(c.flag, parse).Error(); got != c.want {
			t.Errorf("%T: %q, want %q", c.flag, got, c.want)
		}
	}
}
