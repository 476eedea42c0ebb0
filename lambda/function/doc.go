// Package function is what the functions in the cloud have in common: how the
// environment says which archive they work on, and how they publish metrics.
//
// # Contract
//
//   - [Open] reads the environment by the function that it is given, makes no
//     request but to a key service, and names the variable that is wrong.
//   - An archive has one name in all metrics, its bucket and prefix, which whoever
//     writes an alarm knows without asking.
//   - [Emit] writes one line for one moment in CloudWatch's embedded metric format,
//     which makes metrics of lines of the log.
//
// # Ownership
//
// An Archive owns its store: close it.
package function
