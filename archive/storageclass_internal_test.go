package archive

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What S3 answers becomes a class, and a class says what stands before a read.
func TestStorageClass(t *testing.T) {
	listed := func(c types.ObjectStorageClass) func(any) bool {
		return func(i any) bool {
			p, ok := i.(*types.Object)
			if ok {
				p.StorageClass = c
			}
			return ok
		}
	}
	head := func(c types.StorageClass, restore string) func(any) bool {
		return func(i any) bool {
			p, ok := i.(*s3.HeadObjectOutput)
			if ok {
				p.StorageClass, p.Restore = c, &restore
			}
			return ok
		}
	}
	for _, c := range []struct {
		as           func(any) bool
		want         StorageClass
		cold, costly bool
	}{
		{func(any) bool { return false }, "", false, false},
		{listed("STANDARD"), "STANDARD", false, false},
		{listed("STANDARD_IA"), "STANDARD_IA", false, true},
		{listed("GLACIER_IR"), "GLACIER_IR", false, true},
		{listed("GLACIER"), "GLACIER", true, true},
		{listed("DEEP_ARCHIVE"), "DEEP_ARCHIVE", true, true},
		{head("GLACIER", `ongoing-request="true"`), "GLACIER", true, true},
		{head("GLACIER", `ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"`), "GLACIER (thawed)", false, true},
	} {
		got := classOf(c.as)
		if got != c.want || got.Cold() != c.cold || got.Costly() != c.costly {
			t.Errorf("class %q, cold %v, costly %v, want %q, %v, %v", got, got.Cold(), got.Costly(), c.want, c.cold, c.costly)
		}
	}
	for c, cold := range map[StorageClass]bool{"Archive": true, "Cool": false, "COLDLINE": false, "ARCHIVE": false} {
		if c.Cold() != cold || !c.Costly() {
			t.Errorf("class %q: cold %v, costly %v", c, c.Cold(), c.Costly())
		}
	}
}
