// Package redistest holds the Redis door of a node against the clients that people
// use: go-redis and rueidis, in both versions of the protocol, and redis-cli where
// it is installed. And it kills a served node again and again under concurrent
// clients, and has the history that they saw checked for being linearizable.
package redistest
