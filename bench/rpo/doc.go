// Command rpo shows what a short archive timeout costs: a node under a light load
// is archived into a directory, and the requests to the store, the objects and
// the time from a write until it is archived are counted; then the same while it
// is idle, for a restore, for merging the small objects, and for a restore
// afterwards, which must give the same digest.
//
//	cd bench && go run ./rpo -load 3m -idle 30s -timeout 1s
package main
