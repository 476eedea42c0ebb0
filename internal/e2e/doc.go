// Package e2e holds the tests of the whole: a node with its archive, restores
// of what it archived, and crashes in between. It has no code of its own.
package e2e
