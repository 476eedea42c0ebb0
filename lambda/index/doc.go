// Package index is the function that indexes segments as they arrive in an
// archive: a queue brings it the store's events, and it makes the object of
// archive/index for each sealed segment.
//
// # Contract
//
//   - Messages may come twice, late, out of order or never: the index of a segment
//     is the same whenever it is made, and one that is there is success. What no
//     message came for, `nodedb catalog index` finds.
//   - A message fails alone. One whose trouble may pass (the store does not answer,
//     asks for a slower pace, or the time is over) is given back to the queue. One
//     that will never do better is poison: it goes to the dead queue together with
//     the reason, or, where none is configured, is given back until the queue's own
//     rule moves it; the reason is logged either way.
//   - What is no segment of an archive is left alone and counted, and so are
//     segments that are gone or that nobody here can open or may reveal.
//
// # Messages
//
// The body of a message is what S3 sends to a queue (keys are query-escaped), what
// EventBridge makes of it (keys are plain), or s3:TestEvent. MinIO's webhook has the
// form of S3's. A body is at most 1 MiB, with at most 1024 records.
//
// # Ownership
//
// A Handler holds the store that it is given and starts nothing. One invocation
// works on one message after the other.
package index
