package pitr

import (
	"fmt"
	"slices"
	"strings"
)

const namesShownMax = 10

// closestNames lists the known names, those that look most like name first.
func closestNames(name string, known []string) string {
	known = slices.Compact(slices.Sorted(slices.Values(known)))
	slices.SortStableFunc(known, func(a, b string) int { return shared(name, b) - shared(name, a) })
	more := ""
	if n := len(known) - namesShownMax; n > 0 {
		known, more = known[:namesShownMax], fmt.Sprintf(" and %d more", n)
	}
	for i, k := range known {
		known[i] = fmt.Sprintf("%q", k)
	}
	return strings.Join(known, ", ") + more
}

// shared counts the letter pairs that two names have in common, case apart.
func shared(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	n := 0
	for i := 0; i+2 <= len(a); i++ {
		if strings.Contains(b, a[i:i+2]) {
			n++
		}
	}
	return n
}
