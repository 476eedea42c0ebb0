package archive

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestJudgeLifecycle(t *testing.T) {
	const on = types.ExpirationStatusEnabled
	var (
		abort   = types.LifecycleRule{ID: aws.String("abort"), Status: on, AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(3)}}
		expires = &types.LifecycleExpiration{Days: aws.Int32(30)}
		below   = func(prefix string) *types.LifecycleRuleFilter {
			return &types.LifecycleRuleFilter{Prefix: &prefix}
		}
		tag    = &types.Tag{Key: aws.String("k"), Value: aws.String("v")}
		freeze = func(c types.TransitionStorageClass) types.LifecycleRule {
			return types.LifecycleRule{Status: on, Transitions: []types.Transition{{Days: aws.Int32(7), StorageClass: c}}}
		}
	)
	for _, c := range []struct {
		name string
		rule types.LifecycleRule
		want Finding // beside the rule that aborts uploads
	}{
		{"expires everything", types.LifecycleRule{Status: on, Expiration: expires}, FindingFail},
		{"expires what is above", types.LifecycleRule{Status: on, Expiration: expires, Filter: below("back")}, FindingFail},
		{"expires what is below", types.LifecycleRule{Status: on, Expiration: expires, Filter: below("backup/nodedb/v1/shop/")}, FindingFail},
		{"expires by size", types.LifecycleRule{Status: on, Expiration: expires, Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("backup/"), ObjectSizeLessThan: aws.Int64(10)}}}, FindingFail},
		{"old form", types.LifecycleRule{Status: on, Expiration: expires, Prefix: aws.String("backup/")}, FindingFail}, //nolint:staticcheck // old rules still have it
		{"expires beside", types.LifecycleRule{Status: on, Expiration: expires, Filter: below("logs/")}, FindingPass},
		{"expires by tag", types.LifecycleRule{Status: on, Expiration: expires, Filter: &types.LifecycleRuleFilter{Tag: tag}}, FindingPass},
		{"expires by tag and prefix", types.LifecycleRule{Status: on, Expiration: expires, Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Tags: []types.Tag{*tag}}}}, FindingPass},
		{"disabled", types.LifecycleRule{Status: types.ExpirationStatusDisabled, Expiration: expires}, FindingPass},
		{"ends delete markers", types.LifecycleRule{Status: on, Expiration: &types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)}}, FindingPass},
		{"ends old versions", types.LifecycleRule{Status: on, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(30)}}, FindingPass},
		{"freezes", freeze(types.TransitionStorageClassDeepArchive), FindingWarn},
		{"cools", freeze(types.TransitionStorageClassStandardIa), FindingPass},
	} {
		got := judgeLifecycle([]types.LifecycleRule{abort, c.rule}, "backup/nodedb/v1/")
		if got.Finding != c.want || (got.Advice == "") != (c.want == FindingPass) {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
	if got := judgeLifecycle(nil, "nodedb/v1/"); got.Finding != FindingWarn {
		t.Errorf("no rules: %+v", got)
	}
}
