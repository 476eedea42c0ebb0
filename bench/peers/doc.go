// Command peers compares the archive and the restore with those of other
// databases, which are programs of their own: Litestream (SQLite) on an S3
// server, pgBackRest (PostgreSQL 15) on a file system. Both sides get the same
// data on the same machine in the same run, in turns: ours, theirs, theirs,
// ours. Serving is compared with redis-server that flushes each write. It prints a table of ratios. The last one, minio, has no peer: it holds a
// restore against only downloading and decompressing the same objects.
//
//	cd bench && go run ./peers litestream
//	cd bench && go run ./peers pgbackrest
//	cd bench && go run ./peers minio
//	cd bench && go run ./peers redis
//
// It needs, besides Go: for redis the Debian packages redis-server and redis-tools; for litestream the sqlite3 program; for pgbackrest the
// Debian packages postgresql-15 and pgbackrest, and, when it runs as root, the
// user postgres that the former makes. Litestream, MinIO and our own commands are
// built from source, which takes some minutes the first time.
package main
