// Package client asks a node over the Redis protocol: one connection, one request at
// a time, RESP2. The command line is its only user.
//
// What a server sends is bounded before it is kept: [lineBytesMax] a line,
// [bytesMax] and [itemsMax] an answer, [depthMax] arrays in each other.
package client
