//go:build race

package kv_test

// raceEnabled says that pools drop what they hold now and then.
const raceEnabled = true
