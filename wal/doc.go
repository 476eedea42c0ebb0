// Package wal is the write-ahead log: the only log of a node.
package wal
