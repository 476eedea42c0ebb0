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
	// Identities open encrypted segments, and RevealEncrypted lets them be indexed
	// in plain: see archive/index.
	Identities      *archive.Identities
	RevealEncrypted bool
	// Dead takes a message that will never do better, with the reason. nil: it is
	// given back, until the queue's own rule moves it.
	Dead func(ctx context.Context, message *events.SQSMessage, reason string) error
	// Logger and Metrics default to silence.
	Logger  *slog.Logger
	Metrics io.Writer
	Clock   func() time.Time
}

// poison is an error that will be the same the next time.
type poison struct{ error }

func (p poison) Unwrap() error { return p.error }

// Handle works on one batch, and names the messages that are to come again.
func (h *Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	r := &run{Handler: *h}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.Clock == nil {
		r.Clock = time.Now
	}
	begun := r.Clock()
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i := range batch.Records {
		m := &batch.Records[i]
		if err := r.settle(ctx, m, r.message(ctx, m)); err != nil {
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

// message indexes what one message names. All of its objects are tried, so that
// one of them does not hold back the others.
func (r *run) message(ctx context.Context, m *events.SQSMessage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = poison{fmt.Errorf("it is handled with a panic: %v", p)}
		}
	}()
	changes, err := decodeBody(m.Body)
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
		} else if _, ok := errors.AsType[poison](err); ok {
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

// settle decides about a message: nil when it is done with.
func (r *run) settle(ctx context.Context, m *events.SQSMessage, err error) error {
	if err == nil {
		return nil
	}
	log := r.Logger.With("message", m.MessageId, "received", m.Attributes["ApproximateReceiveCount"], "reason", err.Error())
	if _, ok := errors.AsType[poison](err); !ok {
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
func (r *run) object(ctx context.Context, c change) error {
	path, ours := strings.CutPrefix(c.key, r.Prefix)
	nodeID, key, err := archive.ParseFull(path)
	if !ours || err != nil || r.Bucket != "" && c.bucket != "" && c.bucket != r.Bucket {
		r.counts.Foreign++
		r.Logger.InfoContext(ctx, "object is not of this archive", "bucket", c.bucket, "key", c.key)
		return nil
	}
	segment, ok := key.(archive.SegmentKey)
	if !ok || !c.created {
		r.counts.Other++
		return nil
	}
	a, err := archive.Open(r.Store, nodeID)
	if err != nil {
		return poison{err}
	}
	entry := archive.SegmentEntry{SegmentKey: segment, Object: archive.Object{Key: path, Size: c.size}, From: segment.First, To: segment.Last}
	built, err := archiveindex.Build(ctx, a.WithIdentities(r.Identities), entry,
		&archiveindex.Options{Decode: kv.Changes, RevealEncrypted: r.RevealEncrypted})
	return r.outcome(ctx, path, built, err)
}

// outcome counts what became of a segment, and tells passing trouble from poison.
func (r *run) outcome(ctx context.Context, path string, built archiveindex.Built, err error) error {
	log := r.Logger.With("segment", path, "index", built.Key.String())
	switch {
	case err == nil && built.Existed:
		r.counts.Existed++
		log.InfoContext(ctx, "index is there already")
	case err == nil:
		r.counts.Indexed++
		r.counts.Rows += built.Rows
		r.counts.Bytes += built.Bytes
		log.InfoContext(ctx, "segment is indexed", "rows", built.Rows, "bytes", built.Bytes)
	case errors.Is(err, archiveindex.ErrEncrypted), errors.Is(err, archive.ErrKeyMissing):
		r.counts.Encrypted++
		log.WarnContext(ctx, "encrypted segment has no index: only its name tells what is in it", "reason", err.Error())
	case errors.Is(err, archive.ErrNotFound):
		r.counts.Gone++
		log.WarnContext(ctx, "segment is gone: merged or pruned since; nodedb catalog index finds it in its pack")
	case ctx.Err() != nil:
		return err
	case archiveindex.OfStore(err):
		return err
	default:
		return poison{err}
	}
	return nil
}
