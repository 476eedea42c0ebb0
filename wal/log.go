package wal

import (
	"context"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const formatVersion = 1

var errLater = errors.New("wal: being built")

// Log is a write-ahead log in one directory. Its methods may be called from
// any goroutine.
type Log struct {
	counters counters
}

// Open recovers the log in dir, or creates it, and returns it readable and
// ready for appends.
func Open(dir string, o *Options) (*Log, error) { return nil, errLater }

// Start gives the identity of the segments to come and begins the first of them.
func (l *Log) Start(t Timeline, e Epoch) error { return errLater }

// Appended returns the last LSN that was assigned.
func (l *Log) Appended() LSN { return 0 }

// Durable returns the last LSN that is on disk.
func (l *Log) Durable() LSN { return 0 }

// Wait returns when lsn is durable.
func (l *Log) Wait(ctx context.Context, lsn LSN) error { return errLater }

// Err returns the *PoisonedError once the log is poisoned.
func (l *Log) Err() error { return nil }

// Kick lets the committer take what is pending.
func (l *Log) Kick() {}

// Seal seals the active segment when it holds records.
func (l *Log) Seal(ctx context.Context) (Segment, bool, error) { return Segment{}, false, errLater }

// Segments lists the segments, oldest first, the active one last.
func (l *Log) Segments() []Segment { return nil }

// Truncate removes sealed segments whose records are all ≤ upTo.
func (l *Log) Truncate(upTo LSN) ([]Segment, error) { return nil, errLater }

// AppendSync appends and waits until the batch is durable.
func (l *Log) AppendSync(ctx context.Context, b *Batch) (LSN, int64, error) { return 0, 0, errLater }

// Close seals and closes the log.
func (l *Log) Close() error { return errLater }

// Appender is one core's door to the log.
type Appender struct{ l *Log }

// NewAppender returns a new door; wake is called once per group commit that held its records.
func (l *Log) NewAppender(wake func()) *Appender { return &Appender{l} }

// Append assigns LSNs and a time and takes the batch; it does not wait for the disk.
func (a *Appender) Append(b *Batch) (LSN, int64, error) { return 0, 0, errLater }

// Commit commits on the caller's thread when nobody else is committing.
func (a *Appender) Commit() bool { return false }

// Reader reads records in LSN order.
type Reader struct{}

// NewReader returns a reader whose first record is from.
func (l *Log) NewReader(from LSN) *Reader { return &Reader{} }

// Next returns the next durable record; io.EOF at the durable end, where a later call may succeed.
func (r *Reader) Next() (Record, error) { return Record{}, io.EOF }

// Close releases the reader's file.
func (r *Reader) Close() error { return nil }

// Preamble is the head of a segment.
type Preamble struct {
	NodeID    string
	Timeline  Timeline
	Epoch     Epoch
	First     LSN
	Created   int64 // µs
	TimeFloor int64 // µs, no record in the segment is older
	Salt      uint64
	Prev      [32]byte // SHA-256 of the previous segment; zero for the first of a log
}

// Footer is the end of a sealed segment.
type Footer struct {
	First, Last         LSN
	Records             uint64
	FirstTime, LastTime int64
	Points              []Point
	Sum                 [32]byte // SHA-256 of everything before the footer
}

// PreambleLen is the length of every segment's head, in bytes.
const PreambleLen = 256

// DecodePreamble decodes the first PreambleLen bytes of a segment; name is for errors.
func DecodePreamble(b []byte, name string) (Preamble, error) { return Preamble{}, errLater }

// DecodeFooterTail decodes the footer from the last bytes of a sealed segment.
func DecodeFooterTail(p Preamble, tail []byte, size int64, name string) (Footer, error) {
	return Footer{}, errLater
}

// SegmentReader reads one segment as a stream and verifies all of it.
type SegmentReader struct{}

// NewSegmentReader reads the segment from r; name is for errors.
func NewSegmentReader(r io.Reader, name string) *SegmentReader { return &SegmentReader{} }

// OpenSegment opens a segment file; Close releases it.
func OpenSegment(fs vfs.FS, path string) (*SegmentReader, error) { return nil, errLater }

// Preamble returns the head.
func (r *SegmentReader) Preamble() (Preamble, error) { return Preamble{}, errLater }

// Next returns the next record, io.EOF after the last one of a sealed segment.
func (r *SegmentReader) Next() (Record, error) { return Record{}, errLater }

// Footer returns the footer, after Next returned io.EOF.
func (r *SegmentReader) Footer() (Footer, bool) { return Footer{}, false }

// Segment describes what was read so far; complete after io.EOF.
func (r *SegmentReader) Segment() Segment { return Segment{} }

// Close releases the file.
func (r *SegmentReader) Close() error { return nil }
