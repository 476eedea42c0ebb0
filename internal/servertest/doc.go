// Package servertest runs the archive against real servers, each started on a
// free loopback port with its data in a temporary directory, and stopped by its
// process id when the tests end:
//
//   - MinIO for S3, built by the go command from the version that go.mod pins;
//   - fake-gcs-server for Google Cloud Storage, pinned in gcs/go.mod;
//   - Azurite for Azure Blob Storage, an npm package that node runs. It is looked
//     for in $NODEDB_TEST_AZURITE; without it its tests are left out, saying so.
//
// A Proxy stands before a server and makes trouble with a seed: throttling, 5xx,
// lost answers, cut bodies, slow and hung requests.
//
// It is a module of its own so that the server's dependencies never reach the
// product's go.mod. MinIO runs as a separate program here, and nothing of it
// is linked into ours.
package servertest
