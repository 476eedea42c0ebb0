package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/wal"
)

// claimAttemptsMax bounds how often a claim that lost a race tries the next
// number.
const claimAttemptsMax = 64

// StoreConfig is one store of a node.
type StoreConfig struct {
	Store Store
	// Optional takes the store out of the minimum that allows truncation.
	Optional bool
}

// Claim says who wants to write an archive, and from where on.
type Claim struct {
	NodeID string
	// Timeline that the writer continues; 0 begins a new one, whose number is
	// one above all that any store knows.
	Timeline wal.Timeline
	// ParentTimeline and ForkLSN of the timeline, new or continued: where its
	// history comes from, and the last LSN shared with it. Zero for a history
	// without a parent.
	ParentTimeline wal.Timeline
	ForkLSN        wal.LSN
	// FirstLSN is the first LSN that this writer may write (default 1). For a
	// new timeline it is raised above every LSN in the archive.
	FirstLSN wal.LSN
	// VShards of the node, for a restore that has no base to tell it.
	VShards int
	// OldestLSN is the first LSN of the node's own WAL, 0 when unknown. It
	// saves listing what is older.
	OldestLSN wal.LSN
	// LastEpoch is the newest epoch in the node's own WAL, 0 when there is none.
	LastEpoch wal.Epoch
	// Dir holds the record of this node's claims, "claims.log", by which the
	// node knows its own epochs again. Required.
	Dir string
	// AllowOffline lets a continued timeline start although a required store
	// does not answer: the epoch is then provisional there until the Archiver,
	// before its first upload, creates the object or finds itself fenced.
	AllowOffline bool

	Host   string           // default os.Hostname
	FS     vfs.FS           // default vfs.Default
	Logger *slog.Logger     // default discards
	Clock  func() time.Time // default time.Now
	Rand   io.Reader        // default crypto/rand
}

func (c Claim) withDefaults() Claim {
	if c.FirstLSN == 0 {
		c.FirstLSN = 1
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname() // unknown is fine: it is for people only
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}

func (c *Claim) validate(stores []StoreConfig) error {
	var errs []error
	if len(stores) == 0 {
		errs = append(errs, errors.New("archive: claim needs a store"))
	}
	if !ValidNodeID(c.NodeID) {
		errs = append(errs, fmt.Errorf("%w: %q", ErrBadNodeID, c.NodeID))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("archive: claim needs a directory"))
	}
	if c.ForkLSN >= c.FirstLSN {
		errs = append(errs, fmt.Errorf("archive: first LSN %d is not above fork LSN %d", c.FirstLSN, c.ForkLSN))
	}
	if c.Timeline != 0 && c.ParentTimeline >= c.Timeline {
		errs = append(errs, fmt.Errorf("archive: timeline %d cannot have parent %d", c.Timeline, c.ParentTimeline))
	}
	return errors.Join(errs...)
}

// ClaimEpoch makes the caller the only writer of a node's archive, by creating
// the next epoch object in every store that answers; the writer before it is
// fenced from then on. Who loses a race takes the number after.
//
// A continued timeline is refused with a *FencedError when a store shows that
// somebody else went on with it: an epoch that is not this node's own, or
// segments beyond the node's WAL. The way out is a new timeline. A required
// store that does not answer is an error (unless AllowOffline): unknown is
// not absent.
func ClaimEpoch(ctx context.Context, stores []StoreConfig, c Claim) (EpochInfo, error) {
	c = c.withDefaults()
	if err := c.validate(stores); err != nil {
		return EpochInfo{}, err
	}
	own, err := openClaims(c.FS, c.Dir)
	if err != nil {
		return EpochInfo{}, err
	}
	var raw [16]byte
	if _, err := io.ReadFull(c.Rand, raw[:]); err != nil {
		return EpochInfo{}, fmt.Errorf("draw incarnation: %w", err)
	}
	// A node that has written nothing since its last claims has them on record only.
	c.LastEpoch = max(c.LastEpoch, own.newest())
	r := claimRun{Claim: c, own: own, incarnation: hex.EncodeToString(raw[:]), next: c.LastEpoch + 1}
	for range claimAttemptsMax {
		info, won, err := r.attempt(ctx, stores)
		if err != nil || won {
			return info, err
		}
	}
	return EpochInfo{}, fmt.Errorf("archive: lost %d races for an epoch of node %s: %w", claimAttemptsMax, c.NodeID, ErrExists)
}

// claimRun is one ClaimEpoch: what it learned over its attempts.
type claimRun struct {
	Claim
	own         *claims
	incarnation string
	next        wal.Epoch    // no store is known to hold this number or a later one
	timelineMax wal.Timeline // highest that any epoch object names
	firstLSN    wal.LSN      // FirstLSN, raised for a new timeline
}

// attempt surveys the stores and tries one number. Not winning and no error
// means that somebody was faster.
func (r *claimRun) attempt(ctx context.Context, stores []StoreConfig) (EpochInfo, bool, error) {
	r.firstLSN = max(r.firstLSN, r.FirstLSN)
	var reachable []StoreConfig
	for _, sc := range stores {
		err := r.settleFormat(ctx, sc.Store)
		if err == nil {
			err = r.survey(ctx, sc.Store)
		}
		if err != nil && r.forgives(sc, err) {
			r.Logger.Warn("claim epoch: store does not answer", "store", sc.Store.URL(), "optional", sc.Optional, "err", err)
			continue
		}
		if err != nil {
			return EpochInfo{}, false, err
		}
		reachable = append(reachable, sc)
	}
	info := r.info()
	if err := info.valid(); err != nil {
		return EpochInfo{}, false, fmt.Errorf("archive: invalid claim: %w", err)
	}
	// Crash here: the claim is on record and the number is free; the next
	// claim of this node passes it over.
	if err := r.own.add(claimLine{Epoch: info.Epoch, Incarnation: info.Incarnation}); err != nil {
		return EpochInfo{}, false, err
	}
	for _, sc := range reachable {
		err := createEpoch(ctx, sc.Store, info)
		// Crash here: the epoch object exists in some stores and on record, so
		// the next claim knows it as its own.
		switch {
		case errors.Is(err, ErrExists):
			r.next = info.Epoch + 1
			return EpochInfo{}, false, nil
		case err != nil && !r.forgives(sc, err):
			return EpochInfo{}, false, fmt.Errorf("claim epoch %d: %w", info.Epoch, err)
		case err != nil:
			r.Logger.Warn("claim epoch: store does not answer", "store", sc.Store.URL(), "optional", sc.Optional, "err", err)
		}
	}
	return info, true, nil
}

func (r *claimRun) info() EpochInfo {
	info := EpochInfo{
		Version: epochVersion, NodeID: r.NodeID, Epoch: r.next, Timeline: r.Timeline,
		ParentTimeline: r.ParentTimeline, ForkLSN: r.ForkLSN, FirstLSN: r.firstLSN,
		VShards: r.VShards, Incarnation: r.incarnation, Host: r.Host, ClaimedAt: r.Clock().UTC(),
	}
	if r.Timeline == 0 {
		info.Timeline = max(r.timelineMax, r.ParentTimeline) + 1
	}
	return info
}

// forgives tells whether the claim can do without this store for now. A new
// timeline needs every required store: only they know which number is free.
func (r *claimRun) forgives(sc StoreConfig, err error) bool {
	var fenced *FencedError
	if errors.As(err, &fenced) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, context.Canceled) {
		return false
	}
	return sc.Optional || r.AllowOffline && r.Timeline != 0
}

// survey learns from one store which numbers are taken, and refuses to go on
// with a history that somebody else continued.
func (r *claimRun) survey(ctx context.Context, s Store) error {
	if r.Timeline == 0 {
		return r.surveyAll(ctx, s)
	}
	if r.LastEpoch == 0 && r.ParentTimeline != 0 {
		return r.surveyUnclaimed(ctx, s)
	}
	epochs, err := r.epochs(ctx, s, max(r.LastEpoch, 1)-1)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		if !r.own.has(e) && (e.Epoch > r.LastEpoch || r.own.contradicts(e)) {
			return &FencedError{Store: s.URL(), NodeID: r.NodeID, Own: r.LastEpoch, By: &e,
				Reason: "another writer claimed the archive after this node's last epoch"}
		}
	}
	return r.surveyBeyond(ctx, s)
}

// surveyUnclaimed is for a restored node that wrote its timeline without an
// archive so far. It may go on if nobody took the number and nothing reached its
// LSNs since.
func (r *claimRun) surveyUnclaimed(ctx context.Context, s Store) error {
	if err := r.surveyAll(ctx, s); err != nil {
		return err
	}
	if r.timelineMax >= r.Timeline || r.firstLSN > r.FirstLSN {
		return &FencedError{Store: s.URL(), NodeID: r.NodeID, Own: r.LastEpoch,
			Reason: fmt.Sprintf("the restored node wrote timeline %d from LSN %d on without its archive, which has meanwhile reached timeline %d and LSN %d; restore again and start with the archive, or archive under a new node id",
				r.Timeline, r.FirstLSN, r.timelineMax, r.firstLSN-1)}
	}
	return nil
}

// epochs reads the claims above after, and raises next over them. A listing
// may be late, so the numbers after it are asked for by name.
func (r *claimRun) epochs(ctx context.Context, s Store, after wal.Epoch) ([]EpochInfo, error) {
	epochs, err := readEpochsAfter(ctx, s, r.NodeID, after)
	if err != nil {
		return nil, err
	}
	if n := len(epochs); n > 0 {
		after = epochs[n-1].Epoch
	}
	for {
		e, err := ReadEpoch(ctx, s, r.NodeID, after+1)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		epochs, after = append(epochs, e), after+1
	}
	r.next = max(r.next, after+1)
	return epochs, nil
}

// surveyAll reads everything that a new timeline must be above.
func (r *claimRun) surveyAll(ctx context.Context, s Store) error {
	epochs, err := r.epochs(ctx, s, 0)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		r.timelineMax = max(r.timelineMax, e.Timeline)
	}
	for _, kind := range []string{"wal/", "pack/", "gap/", "base/"} {
		for o, err := range listKeys[Key](ctx, s, r.NodeID, kind, "") {
			if err != nil {
				return err
			}
			tl, last := keySpan(o.Key)
			r.timelineMax = max(r.timelineMax, tl)
			if last < math.MaxUint64 {
				r.firstLSN = max(r.firstLSN, last+1)
			}
		}
	}
	return nil
}

// keySpan is the timeline and the highest LSN that a key speaks of.
func keySpan(k Key) (wal.Timeline, wal.LSN) {
	switch k := k.(type) {
	case SegmentKey:
		return k.Timeline, k.Last
	case PackKey:
		return k.Timeline, k.Last
	case GapKey:
		return k.Timeline, k.Last
	case BaseKey:
		return k.Timeline, k.LSN
	}
	return 0, 0
}

// surveyBeyond looks for live segments past the end of the node's own WAL.
func (r *claimRun) surveyBeyond(ctx context.Context, s Store) error {
	dir, from := SegmentPrefix(r.Timeline), ""
	if r.OldestLSN > 0 {
		from = dir + r.OldestLSN.Hex()
	}
	var epochs []EpochInfo
	for o, err := range listKeys[SegmentKey](ctx, s, r.NodeID, dir, from) {
		if err != nil {
			return err
		}
		sk := o.Key
		if sk.Last < r.FirstLSN {
			continue
		}
		if epochs == nil {
			if epochs, err = ReadEpochs(ctx, s, r.NodeID); err != nil {
				return err
			}
		}
		if max(sk.First, r.FirstLSN) >= DeadFrom(epochs, sk.Timeline, sk.Epoch) {
			continue
		}
		return &FencedError{Store: s.URL(), NodeID: r.NodeID, Own: r.LastEpoch, Key: o.Object.Key,
			Reason: fmt.Sprintf("the archive holds LSN %d of timeline %d, and this node's WAL ends at %d", sk.Last, sk.Timeline, r.FirstLSN-1)}
	}
	return nil
}

// createEpoch creates the object of a claim. The same claim found there is
// success; ErrExists says that the number is somebody else's.
func createEpoch(ctx context.Context, s Store, info EpochInfo) error {
	data, err := encodeJSON(&info)
	if err != nil {
		return fmt.Errorf("encode epoch: %w", err)
	}
	return createSmall(ctx, s, Join(info.NodeID, EpochKey{Epoch: info.Epoch}), data)
}
