package servertest

import "context"

// Credentials of every MinIO that Start starts.
const (
	AccessKey = "nodedb-test"
	SecretKey = "nodedb-test-secret"
)

// Build gives the path of MinIO's program: two to three minutes on two CPUs
// when it must be built.
func Build(ctx context.Context) (string, error) {
	return buildTool(ctx, ".", "github.com/minio/minio")
}

// Start runs MinIO, an S3 server, with more environment if there is any.
func Start(ctx context.Context, path, dir string, env ...string) (*Server, error) {
	return start(ctx, program{
		name: "MinIO", path: path, ready: "/minio/health/ready",
		args: func(addr, data string) []string { return []string{"server", "--quiet", "--address", addr, data} },
		env: append([]string{
			"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1",
		}, env...),
	}, dir)
}
