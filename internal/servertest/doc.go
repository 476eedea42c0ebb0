// Package servertest runs the archive against a real S3 server: MinIO, built
// by the go command from the version that go.mod pins, started on a free
// loopback port with its data in a temporary directory, and stopped by its
// process id when the tests end.
//
// It is a module of its own so that the server's dependencies never reach the
// product's go.mod. MinIO runs as a separate program here, and nothing of it
// is linked into ours.
package servertest
