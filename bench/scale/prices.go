package main

import "time"

// List prices of AWS in us-east-1, arm64, without free tiers; check yours.
const (
	usdPerGBSecond    = 0.0000133334
	usdPerInvocation  = 0.20 / 1e6
	usdPerQueueAction = 0.40 / 1e6 // to send, receive or delete; ten at a time
)

const (
	requestSeconds  = 0.03 // until a store in the same region answers
	eventsPerBatch  = 10
	queueActions    = 3.0 // for each batch: sent, received, deleted
	indexGB         = 0.5
	sweepGB         = 0.5
	compactGB       = 1.0
	namesPerListing = 1000
)

// A day of one node.
type day struct {
	Segments int           `json:"segments"`
	Bases    int           `json:"bases"`
	Sweep    time.Duration `json:"sweep_every_ns"`
	KeepDays int           `json:"keep_days"`
	Merged   bool          `json:"merged"` // small segments are merged each night, and deleted a day later
}
