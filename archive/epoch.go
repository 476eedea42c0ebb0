package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

const (
	epochVersion       = 1
	epochBytesMax      = 64 << 10
	epochReadsParallel = 8
)

// EpochInfo is the content of an epoch object: who may write the archive from
// when on, and which history it continues. Epoch objects are created once and
// never change; the one with the highest number owns the archive.
type EpochInfo struct {
	Version        int          `json:"version"`
	NodeID         string       `json:"node_id"`
	Epoch          wal.Epoch    `json:"epoch"`
	Timeline       wal.Timeline `json:"timeline"`
	ParentTimeline wal.Timeline `json:"parent_timeline,omitempty"` // 0: a history without a parent
	ForkLSN        wal.LSN      `json:"fork_lsn,omitempty"`        // last LSN shared with the parent
	FirstLSN       wal.LSN      `json:"first_lsn"`                 // first LSN that this writer may write
	VShards        int          `json:"vshards,omitempty"`         // of the node; a restore without a base needs it. 0: not told
	Incarnation    string       `json:"incarnation"`               // 128 random bits of this claim, in hex
	Host           string       `json:"host,omitempty"`
	ClaimedAt      time.Time    `json:"claimed_at"`
}

func (e *EpochInfo) valid() error {
	raw, err := hex.DecodeString(e.Incarnation)
	switch {
	case !ValidNodeID(e.NodeID):
		return errors.New("bad node id")
	case e.Epoch == 0 || e.Epoch > math.MaxUint32:
		return errors.New("epoch outside 1 to 2^32-1")
	case e.Timeline == 0:
		return errors.New("timeline 0")
	case e.ParentTimeline >= e.Timeline:
		// A new timeline is 1 + the highest one seen, so this also proves that
		// following parents ends.
		return errors.New("parent timeline is not older than the timeline")
	case e.FirstLSN == 0:
		return errors.New("first LSN 0")
	case e.ParentTimeline == 0 && e.ForkLSN != 0:
		return errors.New("fork LSN without a parent timeline")
	case e.VShards < 0 || e.VShards >= int(wal.VShardNone):
		return fmt.Errorf("%d vshards", e.VShards)
	case e.ForkLSN >= e.FirstLSN:
		return errors.New("first LSN is not above the fork LSN")
	case err != nil || len(raw) != 16 || strings.ToLower(e.Incarnation) != e.Incarnation:
		return errors.New("incarnation is not 32 lower-case hex digits")
	}
	return nil
}

// decodeEpoch reads the object under key, which must be for nodeID and epoch.
func decodeEpoch(data []byte, nodeID string, epoch wal.Epoch) (EpochInfo, error) {
	var e EpochInfo
	if err := decodeJSON(data, epochVersion, &e); err != nil {
		return EpochInfo{}, err
	}
	if err := e.valid(); err != nil {
		return EpochInfo{}, err
	}
	if e.NodeID != nodeID || e.Epoch != epoch {
		return EpochInfo{}, fmt.Errorf("holds epoch %d of node %q", e.Epoch, e.NodeID)
	}
	return e, nil
}

// ReadEpoch reads one epoch object; ErrNotFound when nobody claimed it.
func ReadEpoch(ctx context.Context, s Store, nodeID string, epoch wal.Epoch) (EpochInfo, error) {
	key := Join(nodeID, EpochKey{Epoch: epoch})
	data, err := readSmall(ctx, s, key, epochBytesMax)
	if err != nil {
		return EpochInfo{}, fmt.Errorf("read epoch %d: %w", epoch, err)
	}
	e, err := decodeEpoch(data, nodeID, epoch)
	if err != nil {
		return EpochInfo{}, objectErr(s, key, "not an epoch object", err)
	}
	return e, nil
}

// ReadEpochs reads every epoch object of a node, lowest number first. An
// archive that nobody claimed has none.
func ReadEpochs(ctx context.Context, s Store, nodeID string) ([]EpochInfo, error) {
	return readEpochsAfter(ctx, s, nodeID, 0)
}

// readEpochsAfter reads the epochs above the given number.
func readEpochsAfter(ctx context.Context, s Store, nodeID string, after wal.Epoch) ([]EpochInfo, error) {
	numbers, err := listEpochs(ctx, s, nodeID, after)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	infos := make([]EpochInfo, len(numbers))
	slots := make(chan struct{}, epochReadsParallel)
	var wg sync.WaitGroup
	for i, n := range numbers {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			e, err := ReadEpoch(ctx, s, nodeID, n)
			if err != nil {
				cancel(err) // the first one counts
				return
			}
			infos[i] = e
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return infos, nil
}

// listEpochs lists the claimed numbers above after, ascending. Names that are
// not epoch keys are somebody else's and are passed over.
func listEpochs(ctx context.Context, s Store, nodeID string, after wal.Epoch) ([]wal.Epoch, error) {
	from := ""
	if after > 0 {
		from = EpochKey{Epoch: after}.String()
	}
	var out []wal.Epoch
	for o, err := range listKeys[EpochKey](ctx, s, nodeID, "epoch/", from) {
		if err != nil {
			return nil, err
		}
		out = append(out, o.Key.Epoch)
	}
	return out, nil
}

// Branch is the part of a history that one timeline gives: the LSNs From to
// To, both inclusive. To of the newest branch is the highest LSN there is.
type Branch struct {
	Timeline wal.Timeline
	From, To wal.LSN
}

// Ancestry is the chain of branches that leads to the end of timeline tl,
// oldest first: each timeline's own LSNs up to where the next one forked off.
// Branches without any LSN are left out. epochs are all epochs of the node in
// ascending order, as ReadEpochs gives them.
func Ancestry(epochs []EpochInfo, tl wal.Timeline) ([]Branch, error) {
	first := make(map[wal.Timeline]EpochInfo)
	for _, e := range epochs {
		if _, ok := first[e.Timeline]; !ok {
			first[e.Timeline] = e
		}
	}
	var out []Branch
	to := wal.LSN(math.MaxUint64)
	for at := tl; at != 0; {
		e, ok := first[at]
		if !ok {
			return nil, fmt.Errorf("archive: no epoch claims timeline %d: %w", at, ErrNotFound)
		}
		if e.FirstLSN <= to {
			out = append(out, Branch{Timeline: at, From: e.FirstLSN, To: to})
		}
		to = min(to, e.ForkLSN)
		at = e.ParentTimeline
	}
	slices.Reverse(out)
	return out, nil
}

// DeadFrom is the LSN from which segments of this epoch on this timeline are
// void, because a later epoch of the timeline began to write there; the
// highest LSN when there is none.
func DeadFrom(epochs []EpochInfo, tl wal.Timeline, epoch wal.Epoch) wal.LSN {
	dead := wal.LSN(math.MaxUint64)
	for _, e := range epochs {
		if e.Timeline == tl && e.Epoch > epoch {
			dead = min(dead, e.FirstLSN)
		}
	}
	return dead
}
