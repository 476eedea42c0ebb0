package archive

import (
	"errors"
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"google.golang.org/api/googleapi"
)

// What a store keeps by its own rule is told from what these credentials may not
// do, and both from a race that another attempt may win, though the status alone
// (403, 409) says the same.
func TestClassOfRetained(t *testing.T) {
	google := func(reason string) error {
		return &googleapi.Error{Code: 403, Errors: []googleapi.ErrorItem{{Reason: reason}}}
	}
	azure := func(status int, code string) error {
		return &azcore.ResponseError{StatusCode: status, ErrorCode: code}
	}
	for _, c := range []struct {
		err  error
		want error
	}{
		{google("retentionPolicyNotMet"), ErrRetained},
		{google("objectUnderActiveHold"), ErrRetained},
		{google("forbidden"), ErrDenied},
		{azure(409, "BlobImmutableDueToPolicy"), ErrRetained},
		{azure(409, "BlobImmutableDueToLegalHold"), ErrRetained},
		{azure(409, "LeaseIdMissing"), ErrThrottled},
		{azure(403, "AuthorizationPermissionMismatch"), ErrDenied},
	} {
		if got := classify(t.Context(), fmt.Errorf("delete: %w", c.err)); !errors.Is(got, c.want) {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
