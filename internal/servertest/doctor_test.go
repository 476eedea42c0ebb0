package servertest

import (
	"testing"

	"github.com/nodedb-go/nodedb/archive"
)

// A real server passes every check but that its root user can delete.
func TestDoctorOnS3(t *testing.T) {
	b := bucket(t)
	r, err := archive.Examine(t.Context(), open(t, storeURL(b, "")), open(t, storeURL(b, smallParts)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		t.Logf("%s %s: %s", c.Finding, c.Name, c.Detail)
		want := archive.FindingPass
		if c.Name == "delete refused" {
			want = archive.FindingWarn
		}
		if c.Finding != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	if len(r.Checks) < 12 || len(r.Left) != 0 {
		t.Errorf("%d checks, left %v", len(r.Checks), r.Left)
	}
}
