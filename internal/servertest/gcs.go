package servertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// BuildGCS gives the path of fake-gcs-server's program. It is a tool of a
// module below this one, so that its dependencies and MinIO's do not move each
// other.
func BuildGCS(ctx context.Context) (string, error) {
	return buildTool(ctx, "gcs", "github.com/fsouza/fake-gcs-server")
}

// StartGCS runs fake-gcs-server, which speaks the protocol of Google Cloud
// Storage without credentials.
func StartGCS(ctx context.Context, path, dir string) (*Server, error) {
	return start(ctx, program{
		name: "fake-gcs-server", path: path, ready: "/storage/v1/b?project=p",
		args: func(addr, data string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return []string{"-scheme", "http", "-host", host, "-port", port, "-public-host", addr,
				"-external-url", "http://" + addr, "-backend", "filesystem", "-filesystem-root", data}
		},
	}, dir)
}

// makeGCSBucket creates a bucket.
func makeGCSBucket(ctx context.Context, endpoint, name string) error {
	body := strings.NewReader(fmt.Sprintf(`{"name":%q}`, name))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/storage/v1/b?project=p", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("create bucket %s: %s", name, resp.Status)
	}
	return nil
}
