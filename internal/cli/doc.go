// Package cli is what nodedb and pitr-restore have in common at the
// command line: one way to read flags, one way to answer, one set of exit codes.
//
// The contract that scripts rely on:
//
//   - Flags may stand before or after the verb and its arguments; -- ends them.
//     A flag that is not given is taken from the environment (NODEDB_<FLAG>,
//     upper case, - becomes _), then from the YAML file of --config, then
//     from its default.
//   - With --json a verb writes exactly one JSON document to standard output,
//     also when it fails: {"error":{"code":…,"kind":…,"message":…,"hint":…}}.
//   - Logs, progress and complaints go to standard error.
//   - Exit codes are those of [Code]. A command that a signal stopped exits
//     with 128 + the signal's number, as shells expect.
//
// A command is a tree of [Verb] values below an [App]; [App.Run] runs one
// command line in process, so a test is the same code path as main. The flag
// parser below is urfave/cli; nothing of it leaks into verbs but the lookup
// functions of its context.
package cli
