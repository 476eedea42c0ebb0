package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// storeError is the border where foreign errors get their class.
func storeError(ctx context.Context, op, store, key string, err error) error {
	var se *StoreError
	if errors.As(err, &se) {
		return err
	}
	class := classify(ctx, err)
	if errors.Is(class, err) { // it is the class itself and adds nothing
		err = nil
	}
	return &StoreError{Op: op, Store: store, Key: key, Class: class, Err: err}
}

// classify decides by, in this order: the context, codes that only one class
// can mean, the HTTP status, the driver's portable class, the operating
// system's error. What is left is ErrUnreachable: unknown is never absent.
func classify(ctx context.Context, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	for _, own := range []error{ErrBadKey, ErrRefused, ErrNoStore, ErrExists, ErrThrottled} {
		if errors.Is(err, own) {
			return own
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrUnreachable
	}
	if class := classOfCode(err); class != nil {
		return class
	}
	if class := classOfStatus(statusCode(err)); class != nil {
		return class
	}
	if class := classOfOS(err); class != nil {
		return class
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return ErrNotFound
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return ErrExists
	case gcerrors.PermissionDenied:
		return ErrDenied
	case gcerrors.ResourceExhausted:
		return ErrThrottled
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return ErrRefused
	}
	return ErrUnreachable
}

// classOfCode reads the error codes of S3 and its like, and of Azure.
func classOfCode(err error) error {
	switch errorCode(err) {
	case "NoSuchBucket", "ContainerNotFound":
		return ErrNoStore
	case "NoSuchKey", "BlobNotFound":
		return ErrNotFound
	case "PreconditionFailed", "BlobAlreadyExists":
		return ErrExists
	case "InvalidObjectState", "ObjectNotInActiveTierError", "BlobArchived":
		return ErrCold
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"TooManyRequests", "ConditionalRequestConflict", "OperationAborted":
		return ErrThrottled
	case "XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded":
		return ErrStoreFull
	case "retentionPolicyNotMet", "objectUnderActiveHold", "BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold":
		return ErrRetained
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied":
		return ErrDenied
	}
	return nil
}

// errorCode is the code or reason that a cloud's answer names, empty when there is none.
func errorCode(err error) string {
	var coded interface{ ErrorCode() string } // S3
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return azure.ErrorCode
	}
	return googleReason(err)
}

// googleReason is the reason of an answer of GCS that its status alone, 403,
// does not tell apart; empty for all others.
func googleReason(err error) string {
	var google *googleapi.Error
	if !errors.As(err, &google) {
		return ""
	}
	for _, e := range google.Errors {
		switch e.Reason {
		case "retentionPolicyNotMet", "objectUnderActiveHold":
			return e.Reason
		}
	}
	return ""
}

func classOfStatus(status int) error {
	switch {
	case status == http.StatusPreconditionFailed:
		return ErrExists
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrDenied
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == http.StatusConflict:
		return ErrThrottled
	case status == http.StatusInsufficientStorage:
		return ErrStoreFull
	case status == http.StatusRequestTimeout, status >= 500:
		return ErrUnreachable
	case status >= 300 && status < 500: // 301 is a bucket of another region
		return ErrRefused
	}
	return nil
}

// statusCode is the HTTP status of a cloud's answer, 0 when there was none.
func statusCode(err error) int {
	var answered interface{ HTTPStatusCode() int } // S3
	if errors.As(err, &answered) {
		return answered.HTTPStatusCode()
	}
	var google *googleapi.Error
	if errors.As(err, &google) {
		return google.Code
	}
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return azure.StatusCode
	}
	return 0
}

// classOfOS reads errors of the operating system, which the file store and
// the bodies that are uploaded both give.
func classOfOS(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		switch errno {
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			return ErrStoreFull
		case syscall.EROFS:
			return ErrDenied
		case syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EXDEV, syscall.ELOOP:
			return ErrRefused
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, fs.ErrPermission):
		return ErrDenied
	}
	return nil
}

// bodyReader gives a body's errors their class and turns an early end into
// one, so that a truncated answer is never taken for a short object.
type bodyReader struct {
	ctx  context.Context
	r    io.ReadCloser
	left int64 // bytes still to come; owned by the reader's goroutine
	fail func(error) error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, b.fail(err)
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case err == nil, err == io.EOF && b.left == 0:
		return n, err
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, b.fail(err)
}

func (b *bodyReader) Close() error { return b.r.Close() }
