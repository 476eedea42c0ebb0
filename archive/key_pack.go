package archive

import (
	"fmt"

	"github.com/nodedb-go/nodedb/wal"
)

// PackKey names many small segments in one object. First and Last are those of
// the first and the last segment; there is no hole between. SHA16 is the head
// of the SHA-256 of the content, index included.
type PackKey struct {
	Timeline    wal.Timeline
	First, Last wal.LSN // inclusive
	SHA16       ShortSum
	Age         Age // who can read it; zero: everybody
}

// Content is the key without what encryption adds.
func (k PackKey) Content() PackKey {
	k.Age = Age{}
	return k
}

// String is "pack/<timeline8>/<first16>-<last16>-<sha16>.pack.zst[.<recips8>.<md516>.age]".
func (k PackKey) String() string {
	return fmt.Sprintf("%s%016x-%016x-%s.pack.zst%s", PackPrefix(k.Timeline), uint64(k.First), uint64(k.Last), k.SHA16, k.Age.suffix())
}

// PackPrefix is where the packs of a timeline are, below NodePrefix.
func PackPrefix(tl wal.Timeline) string { return fmt.Sprintf("pack/%08x/", uint32(tl)) }

func (k PackKey) valid() error {
	if !k.Age.valid() {
		return errNoRecipients
	}
	return validSpan(k.Timeline, k.First, k.Last)
}

func (f *fields) pack() Key {
	k := PackKey{Timeline: f.timeline()}
	k.First, k.Last = f.span()
	f.literal("-")
	f.sum(k.SHA16[:])
	f.literal(".pack.zst")
	k.Age = f.age()
	return k
}
