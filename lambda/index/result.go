package index

import "errors"

// Outcome is what became of a segment.
type Outcome string

// What a segment can end as. Only a refused one has an error, ErrPoison.
const (
	Indexed   Outcome = "indexed"
	Existed   Outcome = "existed"   // somebody else made its index
	Encrypted Outcome = "encrypted" // and nobody here can open or may reveal it
	Gone      Outcome = "gone"      // merged or pruned since
	Refused   Outcome = "refused"   // damaged, or of a later version
)

// Result is a segment that is done with.
type Result struct {
	Segment string  `json:"segment"` // its whole key within the store
	Index   string  `json:"index"`   // below the node
	Outcome Outcome `json:"outcome"`
	Rows    int     `json:"rows"`
	Bytes   int64   `json:"bytes"` // of the index
	Reason  string  `json:"reason,omitempty"`
}

var (
	// ErrPoison: the event, or a segment that it names, will never do better.
	ErrPoison = errors.New("index: will never do better")
	// ErrForeign: all that the event names is of another archive.
	ErrForeign = errors.New("index: not of this archive")
)

// poison is an error that will be the same the next time.
type poison struct{ error }

func (p poison) Unwrap() error        { return p.error }
func (p poison) Is(target error) bool { return target == ErrPoison }
