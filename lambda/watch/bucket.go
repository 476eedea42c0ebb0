package watch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/notification"
	gocloudaws "gocloud.dev/aws"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/lambda/index"
)

// silenceMax is how long a connection may be silent. The server sends something
// every ten seconds.
const silenceMax = 35 * time.Second

// Bucket listens to the notifications of a bucket, as MinIO and its likes send
// them over a connection that stays open.
type Bucket struct {
	name, prefix string
	endpoint     *url.URL
	options      minio.Options
	silence      time.Duration
}

// configParams are the parameters of a store's URL that say how to reach and
// authenticate at a server.
var configParams = []string{"region", "endpoint", "profile", "role"}

// OpenBucket makes a listener for the store of a URL, with the credentials that
// the store has. It makes no request to the store. ErrNoNotifications when it is
// none that may send any.
func OpenBucket(ctx context.Context, rawURL string) (*Bucket, error) {
	name, prefix, err := archive.Place(rawURL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSuffix(rawURL, ";optional"))
	if err != nil || u.Scheme != "s3" {
		return nil, ErrNoNotifications
	}
	q := url.Values{}
	for _, p := range configParams {
		if v := u.Query().Get(p); v != "" {
			q.Set(p, v)
		}
	}
	c, err := gocloudaws.V2ConfigFromURLParams(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("configure notifications: %w", err)
	}
	endpoint := q.Get("endpoint")
	if endpoint == "" {
		endpoint = aws.ToString(c.BaseEndpoint) // of the environment
	}
	b := &Bucket{name: name, prefix: prefix, silence: silenceMax}
	b.endpoint, err = url.Parse(endpoint)
	if err != nil || b.endpoint.Host == "" || strings.HasSuffix(b.endpoint.Hostname(), ".amazonaws.com") {
		return nil, ErrNoNotifications // AWS tells queues, not callers
	}
	region := c.Region
	if region == "" {
		region = "us-east-1" // as for the store
	}
	b.options = minio.Options{
		Creds: credentials.New(&keys{ctx: ctx, from: c.Credentials}), Region: region,
		Secure: b.endpoint.Scheme == "https", MaxRetries: 1,
	}
	return b, nil
}

// Listen implements Listener.
func (b *Bucket) Listen(ctx context.Context, up func(), each func(index.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	base, err := minio.DefaultTransport(b.options.Secure)
	if err != nil {
		return fmt.Errorf("listen to bucket %s: %w", b.name, err)
	}
	defer base.CloseIdleConnections()
	stream := &stream{base: base, silence: b.silence, connected: make(chan struct{}, 1)}
	o := b.options
	o.Transport = stream
	client, err := minio.New(b.endpoint.Host, &o)
	if err != nil {
		return fmt.Errorf("listen to bucket %s: %w", b.name, err)
	}
	heard := client.ListenBucketNotification(ctx, b.name, b.prefix, "", []string{"s3:ObjectCreated:*"})
	for {
		select {
		case <-stream.connected:
			up()
		case info, ok := <-heard:
			if !ok || info.Err != nil {
				return b.failure(stream, info.Err)
			}
			for i := range info.Records {
				each(change(&info.Records[i]))
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change takes a record as it is: keys of this connection are not escaped, other
// than those of all other events.
func change(e *notification.Event) index.Change {
	return index.Change{Bucket: e.S3.Bucket.Name, Key: e.S3.Object.Key, Size: e.S3.Object.Size, Created: true}
}

// failure tells a server that cannot from one that does not now.
func (b *Bucket) failure(s *stream, err error) error {
	switch status := minio.ToErrorResponse(err).StatusCode; {
	case s.foreign.Load(), status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed, status == http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrNoNotifications, b.endpoint.Host)
	case err == nil:
		return errors.New("the server closed the connection")
	}
	return fmt.Errorf("listen to bucket %s at %s: %w", b.name, b.endpoint.Host, err)
}
