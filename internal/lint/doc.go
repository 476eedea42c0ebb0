// Package lint holds the rules of the house that a general linter does not
// know, as tests over the source of this repository.
//
// What is checked, for every Go file below the root, nested modules included:
//
//	imports    only go down: wal, tpc <- node/engine, archive <- pitr, node <- cmd.
//	           Followed through packages in between, so a detour is no way out.
//	drivers    cloud drivers are imported by cmd/ and lambda/ only
//	doc        every package has a comment attached to its package clause
//	size       functions have at most 70 lines, files at most 600 (tests are free)
//	sleep      no time.Sleep in tests, but on the clock of testing/synctest
//	print      no fmt.Print, no os.Stdout outside commands
//	files      no direct file calls of package os where a file system is a field
//	env        no environment, no package flag outside commands
//	init       no init function in a library
//	marks      no note of unfinished work in comments
//	names      no package that is called util, common, helpers, types, manager
//
// The rules are functions from a parsed file to findings, the tests show of
// every rule that it fires and then run all of them over the tree. Exceptions
// stand in allow.go, each with its reason.
package lint
