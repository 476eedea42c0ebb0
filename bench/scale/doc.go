// Command scale tells what the archives of many nodes in one bucket cost in a
// day: requests, seconds of functions, money. It is a simulation on paper, from
// requests that are counted, not assumed: it runs one real node over a store that
// counts, archives, indexes, merges and describes its history, and takes the
// differences between shorter and longer lives for what one segment, one base, one
// sweep costs. The rest is multiplication.
//
// What is assumed and not measured: the time of a request to the store, how many
// events an invocation takes, and that a node writes all day. Prices of requests
// and storage are those of `nodedb archive cost`; those of functions and queues
// are list prices that stand in prices.go.
//
// The sweep is counted as its largest part: the listing, the ends of segments
// that are new, and a snapshot of the catalog.
package main
