package archive

import (
	"errors"
	"math"

	"github.com/nodedb-go/nodedb/wal"
)

const baseIDLenMax = 32

// Zero is never a valid timeline, epoch or LSN, so a key that was filled from
// a zeroed struct cannot be mistaken for an object.
var (
	errZeroTimeline = errors.New("has timeline 0")
	errZeroEpoch    = errors.New("has epoch 0")
	errBigEpoch     = errors.New("has an epoch above 32 bits")
	errBadSpan      = errors.New("has an LSN range that is empty or starts at 0")
	errBadBaseID    = errors.New("has a base id outside a-z, 0-9, 1 to 32 characters")
	errNoRecipients = errors.New("is encrypted for recipients 00000000, which is no set")
	errBadPinName   = errors.New("has a pin name outside a-z, 0-9, dot, dash, underscore")
)

// ValidKey checks a key that was built by hand before it names an object.
func ValidKey(k Key) error {
	if err := k.valid(); err != nil {
		return badKey(k.String(), err.Error())
	}
	return nil
}

func validSpan(tl wal.Timeline, first, last wal.LSN) error {
	switch {
	case tl == 0:
		return errZeroTimeline
	case first == 0 || last < first:
		return errBadSpan
	}
	return nil
}

func (FormatKey) valid() error { return nil }

func (k EpochKey) valid() error {
	if k.Epoch == 0 {
		return errZeroEpoch
	}
	return nil
}

func (k SegmentKey) valid() error {
	switch {
	case k.Epoch == 0:
		return errZeroEpoch
	case k.Epoch > math.MaxUint32:
		return errBigEpoch
	case !k.Age.valid():
		return errNoRecipients
	}
	return validSpan(k.Timeline, k.First, k.Last)
}

func (k BaseKey) valid() error {
	if k.Timeline == 0 {
		return errZeroTimeline
	}
	if k.ID == "" || len(k.ID) > baseIDLenMax {
		return errBadBaseID
	}
	for i := 0; i < len(k.ID); i++ {
		if c := k.ID[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return errBadBaseID
		}
	}
	return nil
}

func (k BegunKey) valid() error { return BaseKey(k).valid() }

func (k PruneKey) valid() error {
	if k.Seq == 0 {
		return errZeroSeq
	}
	return nil
}

func (k ObjKey) valid() error {
	if !k.Age.valid() {
		return errNoRecipients
	}
	return nil
}

func (k RecipientsKey) valid() error {
	if k.ID == (RecipientsID{}) {
		return errNoRecipients
	}
	return nil
}

func (k GapKey) valid() error { return validSpan(k.Timeline, k.First, k.Last) }

func (k PinKey) valid() error {
	if !ValidPinName(k.Name) {
		return errBadPinName
	}
	return nil
}

func (k IndexKey) valid() error { return validSpan(k.Timeline, k.First, k.Last) }

func (k CatalogKey) valid() error {
	if k.Timeline == 0 {
		return errZeroTimeline
	}
	return nil
}
