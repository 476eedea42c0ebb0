package archive

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Retained tells until when the bucket keeps the object by S3's Object Lock;
// hold: by a legal hold, without an end. A versioned bucket acknowledges the
// deletion of such an object and only hides it, so whoever deletes asks this
// first. Other stores refuse the deletion itself, with ErrRetained.
func (s *blobStore) Retained(ctx context.Context, key string) (until time.Time, hold bool, err error) {
	if err := s.check(ctx, key); err != nil {
		return time.Time{}, false, s.fail(ctx, "stat", key, err)
	}
	a, err := s.bucket.Attributes(ctx, s.prefix+key)
	if err != nil {
		return time.Time{}, false, s.notFound(ctx, "stat", key, err)
	}
	var head s3.HeadObjectOutput
	if !a.As(&head) {
		return time.Time{}, false, nil
	}
	if head.ObjectLockRetainUntilDate != nil {
		until = *head.ObjectLockRetainUntilDate
	}
	return until, head.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn, nil
}
