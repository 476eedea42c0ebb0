package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults and limits of Options.
const (
	SegmentBytesDefault  = 64 << 20
	SegmentBytesMin      = 4 << 10
	SegmentBytesMax      = 1 << 30
	SegmentAgeDefault    = 60 * time.Second
	SpareSegmentsDefault = 4
	NodeIDBytesMax       = 64
)

// Options of Open. Nil and every zero field mean the default.
type Options struct {
	FS     vfs.FS           // default vfs.Default
	Logger *slog.Logger     // default slog.DiscardHandler
	Clock  func() time.Time // default time.Now; source of the records' times
	Rand   io.Reader        // default crypto/rand.Reader; source of the segments' salts

	// NodeID is written into every segment, and segments of another node are
	// refused. At most 64 bytes. Empty: neither.
	NodeID string
	// Timeline and Epoch are written into the segments that this Log begins.
	// Log.Start may give them later.
	Timeline Timeline
	Epoch    Epoch
	// FirstLSN is the first LSN of a log that does not exist yet, default 1.
	FirstLSN LSN

	// SegmentBytes is the size at which a segment is sealed, default 64 MiB. A
	// segment may be smaller while the log is young (preparing a segment costs
	// its size in zeroes, so sizes grow with the load), and larger when one
	// batch is.
	SegmentBytes int64
	// SegmentAge is how long after its first record a segment is sealed, default
	// 60 s; negative: never by age.
	SegmentAge time.Duration
	// PayloadBytesMax lowers the payload limit, default and most PayloadBytesMax.
	PayloadBytesMax int
	// SpareSegments is how many truncated segments are kept for reuse, default
	// 4; negative: none.
	SpareSegments int
	// KnownType, when set, makes the log's readers stop with an
	// *UnknownTypeError at a record whose type is required and unknown.
	KnownType func(Type) bool
	// OnSeal is called for every segment that is sealed after Open returned, in
	// LSN order, one call at a time. It must not block and must not call the Log.
	OnSeal func(Segment)
}

func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.FS == nil {
		r.FS = vfs.Default
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.Clock == nil {
		r.Clock = time.Now
	}
	if r.Rand == nil {
		r.Rand = rand.Reader
	}
	if r.FirstLSN == 0 {
		r.FirstLSN = 1
	}
	if r.SegmentBytes == 0 {
		r.SegmentBytes = SegmentBytesDefault
	}
	if r.SegmentAge == 0 {
		r.SegmentAge = SegmentAgeDefault
	}
	if r.PayloadBytesMax == 0 {
		r.PayloadBytesMax = PayloadBytesMax
	}
	switch {
	case r.SpareSegments == 0:
		r.SpareSegments = SpareSegmentsDefault
	case r.SpareSegments < 0:
		r.SpareSegments = 0
	}
	return r
}

func (o *Options) validate() error {
	var errs []error
	if o.SegmentBytes < SegmentBytesMin || o.SegmentBytes > SegmentBytesMax {
		errs = append(errs, fmt.Errorf("wal: SegmentBytes %d is not within %d to %d", o.SegmentBytes, SegmentBytesMin, SegmentBytesMax))
	}
	if o.PayloadBytesMax < 1 || o.PayloadBytesMax > PayloadBytesMax {
		errs = append(errs, fmt.Errorf("wal: PayloadBytesMax %d is not within 1 to %d", o.PayloadBytesMax, PayloadBytesMax))
	}
	if len(o.NodeID) > NodeIDBytesMax {
		errs = append(errs, fmt.Errorf("wal: NodeID has %d bytes, the limit is %d", len(o.NodeID), NodeIDBytesMax))
	}
	return errors.Join(errs...)
}
