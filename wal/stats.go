package wal

import (
	"sync/atomic"

	"github.com/nodedb-go/nodedb/internal/durations"
)

// Stats counts since Open. A snapshot is not one instant: its fields are read
// one after another.
type Stats struct {
	Groups    uint64 `json:"groups"` // group commits
	Alone     uint64 `json:"alone"`  // of these, done on an appender's own thread
	Records   uint64 `json:"records"`
	Bytes     uint64 `json:"bytes"` // written into segments, headers included
	Syncs     uint64 `json:"syncs"` // fdatasync of the active segment, rotation included
	Seals     uint64 `json:"seals"`
	Rotations uint64 `json:"rotations"`
	Recycled  uint64 `json:"recycled"`  // segments begun in a recycled file
	Waits     uint64 `json:"waits"`     // appends that had to wait for buffer or prepared space
	DiskFull  uint64 `json:"disk_full"` // appends refused with ErrDiskFull
	// SyncMicros counts group commits by their write and sync time: bucket i
	// holds those below 2^i µs that bucket i-1 does not hold; the last holds the
	// rest.
	SyncMicros durations.Counts `json:"sync_micros"`
}

type counters struct {
	groups, alone, records, bytes, syncs      atomic.Uint64
	seals, rotations, recycled, waits, noRoom atomic.Uint64
	took                                      durations.Live // of group commits
}

// Stats returns what the log has done since Open.
func (l *Log) Stats() Stats {
	c := &l.counters
	s := Stats{
		Groups: c.groups.Load(), Alone: c.alone.Load(), Records: c.records.Load(),
		Bytes: c.bytes.Load(), Syncs: c.syncs.Load(), Seals: c.seals.Load(),
		Rotations: c.rotations.Load(), Recycled: c.recycled.Load(),
		Waits: c.waits.Load(), DiskFull: c.noRoom.Load(),
	}
	c.took.AddTo(&s.SyncMicros)
	return s
}
