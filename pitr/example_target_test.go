package pitr_test

import (
	"fmt"

	"github.com/nodedb-go/nodedb/pitr"
)

func ExampleParseTarget() {
	for _, s := range []string{"latest", "1042", "0000000000000412", "point:before-upgrade", "2026-03-01T10:41:07+01:00"} {
		t, err := pitr.ParseTarget(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(t)
	}
	_, err := pitr.ParseTarget("2026-03-01T10:41:07")
	fmt.Println(err)
	// Output:
	// latest
	// LSN 1042
	// LSN 1042
	// restore point "before-upgrade"
	// time 2026-03-01T10:41:07+01:00
	// pitr: bad target: time "2026-03-01T10:41:07" has no offset, so it could be any of 26 hours; write 2026-03-01T10:41:07Z for UTC, or for example 2026-03-01T10:41:07+02:00
}
