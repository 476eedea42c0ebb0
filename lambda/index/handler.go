package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/nodedb-go/nodedb/archive"
	archiveindex "github.com/nodedb-go/nodedb/archive/index"
	"github.com/nodedb-go/nodedb/node/engine/kv"
)

// Handler indexes what events name. Store is required.
type Handler struct {
	Store archive.Store
	// Bucket is where events come from; those of another are foreign. Empty: any.
	Bucket string
	// Prefix of the store within the bucket, as keys of events begin.
	Prefix string
	// Archive names the archive in metrics.
	Archive string
	// NodeID is whose segments are indexed; those of others are foreign. Empty:
	// everybody's.
	NodeID string
	// Identities open encrypted segments, and RevealEncrypted lets them be indexed
	// in plain: see archive/index.
	Identities      *archive.Identities
	RevealEncrypted bool
	// Dead takes a message that will never do better, with the reason. nil: it is
	// given back, until the queue's own rule moves it.
	Dead func(ctx context.Context, message *events.SQSMessage, reason string) error
	// Told hears of every segment that is done with. nil: nobody does.
	Told func(Result)
	// Logger and Metrics default to silence.
	Logger  *slog.Logger
	Metrics io.Writer
	Clock   func() time.Time
}

// Handle works on one batch, and names the messages that are to come again.
func (h *Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	r := h.begin()
	begun := r.Clock()
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i := range batch.Records {
		m := &batch.Records[i]
		if err := r.settle(ctx, m, r.event(ctx, m.Body)); err != nil {
			r.counts.Failed++
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, r.publish(begun)
}

// run is one invocation.
type run struct {
	Handler
	counts counts
}

func (h *Handler) begin() *run {
	r := &run{Handler: *h}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.Clock == nil {
		r.Clock = time.Now
	}
	return r
}

// event indexes what the text of one event names. All of its objects are tried,
// so that one of them does not hold back the others.
func (r *run) event(ctx context.Context, text string) (err error) {
	defer caught(&err)
	changes, err := decodeBody(text)
	if err != nil {
		return poison{err}
	}
	if len(changes) == 0 {
		r.counts.Tests++
	}
	var again, never error
	for _, c := range changes {
		if err := r.object(ctx, c); err == nil {
			continue
		} else if errors.Is(err, ErrPoison) {
			never = err
		} else {
			again = err
		}
	}
	if again != nil {
		return again // what is poison in it comes again, and is told then
	}
	return never
}

// caught makes poison of a panic.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = poison{fmt.Errorf("it is handled with a panic: %v", p)}
	}
}

// settle decides about a message: nil when it is done with.
func (r *run) settle(ctx context.Context, m *events.SQSMessage, err error) error {
	if err == nil {
		return nil
	}
	log := r.Logger.With("message", m.MessageId, "received", m.Attributes["ApproximateReceiveCount"], "reason", err.Error())
	if !errors.Is(err, ErrPoison) {
		log.WarnContext(ctx, "message is given back")
		return err
	}
	r.counts.Poison++
	log.ErrorContext(ctx, "message will never do better")
	if r.Dead == nil {
		return err
	}
	if derr := r.Dead(ctx, m, err.Error()); derr != nil {
		log.ErrorContext(ctx, "dead queue does not take it", "error", derr.Error())
		return err
	}
	return nil
}

// object indexes one object, if it is a segment.
func (r *run) object(ctx context.Context, c Change) error {
	path, ours := strings.CutPrefix(c.Key, r.Prefix)
	nodeID, key, err := archive.ParseFull(path)
	if !ours || err != nil || r.Bucket != "" && c.Bucket != "" && c.Bucket != r.Bucket || r.NodeID != "" && nodeID != r.NodeID {
		r.counts.Foreign++
		r.Logger.InfoContext(ctx, "object is not of this archive", "bucket", c.Bucket, "key", c.Key)
		return nil
	}
	segment, ok := key.(archive.SegmentKey)
	if !ok || !c.Created {
		r.counts.Other++
		return nil
	}
	a, err := archive.Open(r.Store, nodeID)
	if err != nil {
		return poison{err}
	}
	entry := archive.SegmentEntry{SegmentKey: segment, Object: archive.Object{Key: path, Size: c.Size}, From: segment.First, To: segment.Last}
	return r.segment(ctx, a.WithIdentities(r.Identities), entry)
}

// segment indexes one segment.
func (r *run) segment(ctx context.Context, a *archive.Archive, s archive.SegmentEntry) (err error) {
	defer caught(&err)
	built, err := archiveindex.Build(ctx, a, s, &archiveindex.Options{Decode: kv.Changes, RevealEncrypted: r.RevealEncrypted})
	return r.outcome(ctx, s.Object.Key, built, err)
}

// outcome counts what became of a segment, and tells passing trouble from poison.
func (r *run) outcome(ctx context.Context, path string, built archiveindex.Built, err error) error {
	log := r.Logger.With("segment", path, "index", built.Key.String())
	done := Result{Segment: path, Index: built.Key.String(), Rows: built.Rows, Bytes: built.Bytes}
	if err != nil {
		done.Reason = err.Error()
	}
	switch {
	case err == nil && built.Existed:
		r.counts.Existed++
		done.Outcome = Existed
		log.InfoContext(ctx, "index is there already")
	case err == nil:
		r.counts.Indexed++
		r.counts.Rows += built.Rows
		r.counts.Bytes += built.Bytes
		done.Outcome = Indexed
		log.InfoContext(ctx, "segment is indexed", "rows", built.Rows, "bytes", built.Bytes)
	case errors.Is(err, archiveindex.ErrEncrypted), errors.Is(err, archive.ErrKeyMissing):
		r.counts.Encrypted++
		done.Outcome = Encrypted
		log.WarnContext(ctx, "encrypted segment has no index: only its name tells what is in it", "reason", err.Error())
	case errors.Is(err, archive.ErrNotFound):
		r.counts.Gone++
		done.Outcome = Gone
		log.WarnContext(ctx, "segment is gone: merged or pruned since; nodedb catalog index finds it in its pack")
	case ctx.Err() != nil, archiveindex.OfStore(err):
		return err
	default:
		done.Outcome = Refused
		err = poison{err}
	}
	if r.Told != nil {
		r.Told(done)
	}
	if done.Outcome == Refused {
		return err
	}
	return nil
}
