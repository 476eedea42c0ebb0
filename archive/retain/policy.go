package retain

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// DefaultAbandoned is how long a history that was left by a restore stays.
const DefaultAbandoned = 30 * 24 * time.Hour

// Policy says what must stay restorable. Rules add up: what any of them keeps
// is kept. The zero Policy is no policy.
type Policy struct {
	Last   int           // every position from the Nth newest base on
	Within time.Duration // every position of this time, and the base before it

	// The newest base of each of the last N days, weeks, months or years that
	// have one, by UTC; each is restorable at its own LSN.
	Daily, Weekly, Monthly, Yearly int

	// Abandoned is how long the rules hold for a timeline that a later one
	// took over from; default DefaultAbandoned.
	Abandoned time.Duration
}

// ErrNoPolicy: a policy without a rule would keep nothing.
var ErrNoPolicy = errors.New("retain: the policy has no rule")

// Valid refuses a policy without a rule, or with a negative one.
func (p Policy) Valid() error {
	if p.Last < 0 || p.Within < 0 || p.Daily < 0 || p.Weekly < 0 || p.Monthly < 0 || p.Yearly < 0 || p.Abandoned < 0 {
		return fmt.Errorf("retain: a rule is negative: %s", p)
	}
	if p.Last+p.Daily+p.Weekly+p.Monthly+p.Yearly == 0 && p.Within == 0 {
		return ErrNoPolicy
	}
	return nil
}

func (p Policy) abandoned() time.Duration {
	if p.Abandoned == 0 {
		return DefaultAbandoned
	}
	return p.Abandoned
}

// String is the policy in words.
func (p Policy) String() string {
	var parts []string
	for _, r := range []struct {
		n    int
		what string
	}{{p.Last, "last"}, {p.Daily, "daily"}, {p.Weekly, "weekly"}, {p.Monthly, "monthly"}, {p.Yearly, "yearly"}} {
		if r.n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", r.what, r.n))
		}
	}
	if p.Within != 0 {
		parts = append(parts, "within "+p.Within.String())
	}
	return "keep " + strings.Join(parts, ", ")
}

// calendar are the rules by calendar.
func (p Policy) calendar() []period {
	day := func(t time.Time) string { return t.Format("2006-01-02") }
	week := func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d-W%02d", y, w) }
	month := func(t time.Time) string { return t.Format("2006-01") }
	year := func(t time.Time) string { return t.Format("2006") }
	return []period{{"day", p.Daily, day}, {"week", p.Weekly, week}, {"month", p.Monthly, month}, {"year", p.Yearly, year}}
}

type period struct {
	name string
	n    int
	of   func(time.Time) string
}
