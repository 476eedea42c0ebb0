package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// A configuredStore has settings of its own that decide how safe an archive is
// in it. settings reads them and writes nothing.
type configuredStore interface {
	settings(ctx context.Context) []DoctorCheck
}

// bucket asks what cannot be found out by trying: whether deletions can be
// undone, whether they are refused for a time, and whether the store deletes or
// freezes objects by itself.
func (d *doctor) bucket(ctx context.Context) {
	if c, ok := d.s.(configuredStore); ok {
		d.report.Checks = append(d.report.Checks, c.settings(ctx)...)
	}
}

// settings are those of an S3 bucket that came from a URL; other stores have
// none that are known here.
func (s *blobStore) settings(ctx context.Context) []DoctorCheck {
	if s.s3 == nil {
		return nil
	}
	return []DoctorCheck{s.s3.versioning(ctx), s.s3.objectLock(ctx), s.s3.lifecycle(ctx)}
}

// unsettled is the check of a setting that could not be read.
func unsettled(name, permission string, err error) DoctorCheck {
	c := DoctorCheck{Name: name, Finding: FindingSkip, Detail: "the store does not tell: " + err.Error(), Advice: "ask who owns the bucket"}
	if code := errorCode(err); code != "" {
		c.Detail = "the store does not tell: " + code
		if code == "AccessDenied" {
			c.Advice = "grant " + permission + " to whoever examines the archive; the node does not need it"
		}
	}
	return c
}

func (c *s3Creator) versioning(ctx context.Context) DoctorCheck {
	const name = "bucket versioning"
	out, err := c.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &c.bucket})
	switch {
	case err != nil:
		return unsettled(name, "s3:GetBucketVersioning", err)
	case out.Status == types.BucketVersioningStatusEnabled:
		return DoctorCheck{Name: name, Finding: FindingPass, Detail: "enabled: what is deleted can be brought back until its old version expires"}
	case out.Status == types.BucketVersioningStatusSuspended:
		return DoctorCheck{Name: name, Finding: FindingWarn, Detail: "suspended: a deletion of what was written since is final", Advice: "enable versioning again"}
	}
	return DoctorCheck{Name: name, Finding: FindingWarn, Detail: "off: a deletion is final",
		Advice: "enable versioning, with a lifecycle rule that ends old versions after some weeks"}
}

func (c *s3Creator) objectLock(ctx context.Context) DoctorCheck {
	const name = "object lock"
	out, err := c.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &c.bucket})
	if errorCode(err) == "ObjectLockConfigurationNotFoundError" {
		return DoctorCheck{Name: name, Finding: FindingWarn, Detail: "off: only credentials stand between the archive and its deletion",
			Advice: "use a bucket with Object Lock and a default retention that is as long as the history that you promise"}
	}
	if err != nil {
		return unsettled(name, "s3:GetBucketObjectLockConfiguration", err)
	}
	lock := out.ObjectLockConfiguration
	if lock == nil || lock.Rule == nil || lock.Rule.DefaultRetention == nil {
		return DoctorCheck{Name: name, Finding: FindingWarn, Detail: "on, without a default retention: new objects are not locked",
			Advice: "give the bucket a default retention"}
	}
	r := lock.Rule.DefaultRetention
	period := fmt.Sprintf("%d days", aws.ToInt32(r.Days))
	if r.Days == nil {
		period = fmt.Sprintf("%d years", aws.ToInt32(r.Years))
	}
	return DoctorCheck{Name: name, Finding: FindingPass, Detail: fmt.Sprintf("on, by default %s in mode %s", period, r.Mode)}
}

func (c *s3Creator) lifecycle(ctx context.Context) DoctorCheck {
	out, err := c.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &c.bucket})
	if errorCode(err) == "NoSuchLifecycleConfiguration" {
		return judgeLifecycle(nil, c.prefix+root)
	}
	if err != nil {
		return unsettled(lifecycleCheck, "s3:GetLifecycleConfiguration", err)
	}
	return judgeLifecycle(out.Rules, c.prefix+root)
}

const lifecycleCheck = "lifecycle rules"

// judgeLifecycle tells what a bucket's rules do to the objects below prefix,
// the worst first: deleting them, freezing them, or never collecting the parts
// of uploads that were cut off.
func judgeLifecycle(rules []types.LifecycleRule, prefix string) DoctorCheck {
	var expire, freeze, abort string
	for i := range rules {
		r := &rules[i]
		if r.Status != types.ExpirationStatusEnabled || !concerns(r, prefix) {
			continue
		}
		id := aws.ToString(r.ID)
		if r.AbortIncompleteMultipartUpload != nil {
			abort = fmt.Sprintf("the parts of uploads that were cut off go after %d days (rule %q)", aws.ToInt32(r.AbortIncompleteMultipartUpload.DaysAfterInitiation), id)
		}
		// A rule that ends delete markers expires no object.
		if e := r.Expiration; e != nil && (e.Date != nil || aws.ToInt32(e.Days) > 0) {
			expire = fmt.Sprintf("rule %q deletes objects of the archive after %s", id, after(e.Days, e.Date != nil))
		}
		for _, t := range r.Transitions {
			if t.StorageClass == types.TransitionStorageClassGlacier || t.StorageClass == types.TransitionStorageClassDeepArchive {
				freeze = fmt.Sprintf("rule %q moves objects to %s after %s", id, t.StorageClass, after(t.Days, t.Date != nil))
			}
		}
	}
	switch {
	case expire != "":
		return DoctorCheck{Name: lifecycleCheck, Finding: FindingFail, Detail: expire,
			Advice: "remove the rule: the store does not know what a restore needs; archive prune does"}
	case freeze != "":
		return DoctorCheck{Name: lifecycleCheck, Finding: FindingWarn, Detail: freeze,
			Advice: "a restore waits hours for such objects: see what it would wait for with pitr-restore plan, or leave recent history out of the rule"}
	case abort == "":
		return DoctorCheck{Name: lifecycleCheck, Finding: FindingWarn, Detail: "none removes the parts of uploads that were cut off: they stay, unseen and paid for",
			Advice: "add a rule that aborts incomplete multipart uploads after a few days; a server that removes them by itself does not need it"}
	}
	return DoctorCheck{Name: lifecycleCheck, Finding: FindingPass, Detail: abort}
}

// concerns tells whether a rule selects objects below prefix. The archive's
// objects have no tags, so a rule that asks for one selects none of them.
func concerns(r *types.LifecycleRule, prefix string) bool {
	selected := aws.ToString(r.Prefix) //nolint:staticcheck // old rules still have it
	if f := r.Filter; f != nil {
		if f.Tag != nil || f.And != nil && len(f.And.Tags) > 0 {
			return false
		}
		if f.Prefix != nil {
			selected = *f.Prefix
		}
		if f.And != nil && f.And.Prefix != nil {
			selected = *f.And.Prefix
		}
	}
	return strings.HasPrefix(selected, prefix) || strings.HasPrefix(prefix, selected)
}

func after(days *int32, dated bool) string {
	if dated {
		return "a fixed date"
	}
	return fmt.Sprintf("%d days", aws.ToInt32(days))
}
