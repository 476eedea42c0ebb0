package servertest

import (
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/nodedb-go/nodedb/archive"
)

// A real server passes every check but that its root user can delete, and what a
// bucket without settings leaves open.
func TestDoctorOnS3(t *testing.T) {
	b := bucket(t)
	r, err := archive.Examine(t.Context(), open(t, storeURL(b, "")), open(t, storeURL(b, smallParts)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		t.Logf("%s %s: %s", c.Finding, c.Name, c.Detail)
		want := archive.FindingPass
		switch c.Name {
		case "delete refused", "bucket versioning", "object lock", "lifecycle rules":
			want = archive.FindingWarn
		}
		if c.Finding != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	if len(r.Checks) < 15 || len(r.Left) != 0 {
		t.Errorf("%d checks, left %v", len(r.Checks), r.Left)
	}
}

// What the owner of a bucket set is told: a lock, and a rule that deletes.
func TestDoctorReadsSettings(t *testing.T) {
	ctx, c, name := t.Context(), client(t), "settings"
	if err := c.MakeBucket(ctx, name, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	mode, days, unit := minio.Governance, uint(1), minio.Days
	if err := c.SetBucketObjectLockConfig(ctx, name, &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{
		{ID: "tidy", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "nodedb/"}, Expiration: lifecycle.Expiration{Days: 30}},
	}
	if err := c.SetBucketLifecycle(ctx, name, rules); err != nil {
		t.Fatal(err)
	}
	s := open(t, storeURL(name, ""))
	r, err := archive.Examine(ctx, s, s)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]archive.DoctorCheck)
	for _, check := range r.Checks {
		got[check.Name] = check
	}
	for name, want := range map[string]archive.DoctorCheck{
		"bucket versioning": {Finding: archive.FindingPass, Detail: "enabled: what is deleted can be brought back until its old version expires"},
		"object lock":       {Finding: archive.FindingPass, Detail: "on, by default 1 days in mode GOVERNANCE"},
		"lifecycle rules":   {Finding: archive.FindingFail, Detail: `rule "tidy" deletes objects of the archive after 30 days`},
	} {
		if got[name].Finding != want.Finding || got[name].Detail != want.Detail {
			t.Errorf("%+v, want %s: %s", got[name], want.Finding, want.Detail)
		}
	}
	if r.Verdict != archive.FindingFail {
		t.Errorf("verdict %s", r.Verdict)
	}
}
