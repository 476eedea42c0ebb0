package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
)

const (
	s3PartBytesMin     = 5 << 20
	s3PartsMax         = 10_000
	s3MultipartDefault = 128 << 20
	s3AbortTimeout     = 10 * time.Second
)

// s3Params are the parts of an s3 URL that concern writing. The portable
// writer buffers up to 48 MiB for each upload, logs by itself, and leaves the
// parts of a cancelled upload behind; a body that can be read at any offset
// needs none of that, so objects go straight from it to the S3 client.
type s3Params struct {
	bucket         string
	multipartBytes int64 // objects above it go in parts of this size
	sse            types.ServerSideEncryption
	kmsKeyID       string
	customEndpoint bool
}

// parse reads q and sets the defaults that servers other than AWS need.
func (p *s3Params) parse(bucket string, q url.Values) error {
	p.bucket, p.multipartBytes = bucket, s3MultipartDefault
	if v := q.Get("multipart_bytes"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < s3PartBytesMin || n > 5<<30 {
			return fmt.Errorf("multipart_bytes=%s: give %d to %d", v, s3PartBytesMin, int64(5<<30))
		}
		p.multipartBytes = n
	}
	q.Del("multipart_bytes")
	if v := q.Get("ssetype"); v != "" {
		p.sse = types.ServerSideEncryption(v)
		if !slices.Contains(p.sse.Values(), p.sse) {
			return fmt.Errorf("ssetype=%s: give one of %v", v, p.sse.Values())
		}
	}
	p.kmsKeyID = q.Get("kmskeyid")
	endpoint := q.Get("endpoint")
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return errors.New("endpoint: write http://host:port or https://host:port, without credentials")
	}
	p.customEndpoint = !strings.HasSuffix(u.Hostname(), ".amazonaws.com")
	if !p.customEndpoint {
		return nil
	}
	defaultParam(q, "region", "us-east-1")
	defaultParam(q, "request_checksum_calculation", "when_required")
	defaultParam(q, "response_checksum_validation", "when_required")
	if !q.Has("s3ForcePathStyle") {
		defaultParam(q, "use_path_style", "true")
	}
	return nil
}

func defaultParam(q url.Values, name, value string) {
	if !q.Has(name) {
		q.Set(name, value)
	}
}

// s3Creator writes objects once through the S3 client.
type s3Creator struct {
	s3Params
	client *s3.Client
	prefix string
}

// newS3Creator is nil when b is not S3.
func newS3Creator(b *blob.Bucket, u *storeURL) *s3Creator {
	var c *s3.Client
	if u.s3.bucket == "" || !b.As(&c) {
		return nil
	}
	return &s3Creator{s3Params: u.s3, client: c, prefix: u.prefix}
}

// s3Key is the name of an object as the portable driver, which does the
// reading, writes it: S3 clients and proxies disagree about "../".
func s3Key(key string) string { return strings.ReplaceAll(key, "../", "..__0x2f__") }

// options apply to every request that carries a body. An endpoint that came
// from the environment instead of the URL is seen only here.
func (c *s3Creator) options(o *s3.Options) {
	if o.BaseEndpoint != nil && !strings.HasSuffix(strings.TrimRight(*o.BaseEndpoint, "/"), ".amazonaws.com") && !c.customEndpoint {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
}

func (c *s3Creator) create(ctx context.Context, key string, src *source) error {
	if src.size > c.multipartBytes {
		return c.createParts(ctx, key, src)
	}
	in := &s3.PutObjectInput{
		Bucket: &c.bucket, Key: aws.String(s3Key(c.prefix + key)),
		Body: src.reader(), ContentLength: &src.size,
		ContentType: aws.String("application/octet-stream"), IfNoneMatch: aws.String("*"),
		ServerSideEncryption: c.sse,
	}
	if c.kmsKeyID != "" {
		in.SSEKMSKeyId = &c.kmsKeyID
	}
	_, err := c.client.PutObject(ctx, in, c.options)
	return err
}

// createParts sends a large object in parts, one after the other; only the
// completing request makes it visible, and that one carries the condition.
func (c *s3Creator) createParts(ctx context.Context, key string, src *source) error {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &c.bucket, Key: aws.String(s3Key(c.prefix + key)),
		ContentType: aws.String("application/octet-stream"), ServerSideEncryption: c.sse,
	}
	if c.kmsKeyID != "" {
		in.SSEKMSKeyId = &c.kmsKeyID
	}
	up, err := c.client.CreateMultipartUpload(ctx, in, c.options)
	if err != nil {
		return err
	}
	parts, err := c.sendParts(ctx, in.Key, up.UploadId, src)
	if err == nil {
		_, err = c.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &c.bucket, Key: in.Key, UploadId: up.UploadId, IfNoneMatch: aws.String("*"),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
	}
	if err != nil {
		// Crash here: the parts stay, unseen and paid for, until the bucket's
		// lifecycle rule for incomplete uploads removes them.
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s3AbortTimeout)
		defer cancel()
		_, aerr := c.client.AbortMultipartUpload(actx, &s3.AbortMultipartUploadInput{
			Bucket: &c.bucket, Key: in.Key, UploadId: up.UploadId,
		})
		if aerr != nil {
			err = fmt.Errorf("%w (its parts could not be removed: %v)", err, aerr)
		}
	}
	return err
}

func (c *s3Creator) sendParts(ctx context.Context, key, upload *string, src *source) ([]types.CompletedPart, error) {
	partBytes := max(c.multipartBytes, (src.size+s3PartsMax-1)/s3PartsMax)
	var parts []types.CompletedPart
	for off := int64(0); off < src.size; off += partBytes {
		n, number := min(partBytes, src.size-off), int32(len(parts)+1)
		out, err := c.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &c.bucket, Key: key, UploadId: upload, PartNumber: &number,
			Body: io.NewSectionReader(src, off, n), ContentLength: &n,
		}, c.options)
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{
			ETag: out.ETag, PartNumber: &number,
			ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
	}
	return parts, nil
}
