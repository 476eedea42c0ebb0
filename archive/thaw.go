package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ThawTier is how fast, and for how much, a store brings a cold object back.
type ThawTier string

// The tiers of S3.
const (
	ThawExpedited ThawTier = "Expedited"
	ThawStandard  ThawTier = "Standard"
	ThawBulk      ThawTier = "Bulk"
)

// ThawOffer is a tier that a class has, and the time within which its objects
// are readable as a rule. Nobody promises it.
type ThawOffer struct {
	Tier   ThawTier
	Within time.Duration
}

// s3Offers are what AWS documents, the fastest first. The fastest tier is for
// objects of at most 250 MB, and now and then it is refused for want of capacity.
var s3Offers = map[StorageClass][]ThawOffer{
	"GLACIER":      {{ThawExpedited, 5 * time.Minute}, {ThawStandard, 5 * time.Hour}, {ThawBulk, 12 * time.Hour}},
	"DEEP_ARCHIVE": {{ThawStandard, 12 * time.Hour}, {ThawBulk, 48 * time.Hour}},
}

// ThawOffers are the tiers of a class; none when it is not cold, or is another
// store's than S3's.
func ThawOffers(c StorageClass) []ThawOffer { return slices.Clone(s3Offers[c.Kind()]) }

// ThawState is how far a cold object is on its way back.
type ThawState string

// The states of an object.
const (
	Frozen   ThawState = "frozen"    // cold, and nobody asked for it
	Thawing  ThawState = "under-way" // asked for
	Readable ThawState = "readable"  // not cold, or a readable copy is there
)

// Thaw is what a store says about one object.
type Thaw struct {
	State ThawState
	Class StorageClass
	Until time.Time // the copy is readable as long; zero: for good, or not known
}

// A Thawer is a store that can be asked to bring cold objects back.
type Thawer interface {
	// ThawOf tells how far an object is. It changes nothing. Its errors are
	// those of Store.Stat.
	ThawOf(ctx context.Context, key string) (Thaw, error)
	// Thaw asks for a copy that can be read for some days. An object that is
	// under way already is no error. ErrRefused: the object, or the store, is
	// not of a kind that can be asked.
	Thaw(ctx context.Context, key string, tier ThawTier, days int) error
}

// Kind is the class without what is known of a copy.
func (c StorageClass) Kind() StorageClass {
	return StorageClass(strings.TrimSuffix(string(c), thawedSuffix))
}

// Thawed tells that the class is cold and a readable copy of the object is there.
func (c StorageClass) Thawed() bool { return c != c.Kind() }

// ThawOf implements [Thawer].
func (s *blobStore) ThawOf(ctx context.Context, key string) (Thaw, error) {
	a, err := s.attributes(ctx, key)
	if err != nil {
		return Thaw{}, err
	}
	t := Thaw{State: Readable, Class: classOf(a.As)}
	if t.Class.Cold() {
		t.State = Frozen
	}
	var head s3.HeadObjectOutput
	if a.As(&head) && head.Restore != nil {
		t.restored(*head.Restore)
	}
	return t, nil
}

// restored reads the header x-amz-restore:
//
//	ongoing-request="true"
//	ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"
func (t *Thaw) restored(header string) {
	switch {
	case t.State == Frozen && strings.Contains(header, `ongoing-request="true"`):
		t.State = Thawing
	case t.Class.Thawed():
		_, date, _ := strings.Cut(header, `expiry-date="`)
		date, _, _ = strings.Cut(date, `"`)
		t.Until, _ = time.Parse(time.RFC1123, date) // only shown; zero is "not known"
		t.Until = t.Until.UTC()
	}
}

// Thaw implements [Thawer] for S3 buckets that came from a URL.
func (s *blobStore) Thaw(ctx context.Context, key string, tier ThawTier, days int) error {
	err := s.check(ctx, key)
	switch {
	case err != nil:
	case s.s3 == nil:
		err = fmt.Errorf("%w: only S3 can be asked from here; use the store's own tool", ErrRefused)
	default:
		err = s.s3.restore(ctx, key, tier, days)
	}
	if err != nil {
		return s.fail(ctx, "thaw", key, err)
	}
	return nil
}

// restore asks for one object. S3 answers 202 when it begins, 200 when a copy
// was there and lives longer now, 409 when an earlier request is under way.
func (c *s3Creator) restore(ctx context.Context, key string, tier ThawTier, days int) error {
	_, err := c.client.RestoreObject(ctx, &s3.RestoreObjectInput{
		Bucket: &c.bucket, Key: aws.String(s3Key(c.prefix + key)),
		RestoreRequest: &types.RestoreRequest{
			Days:                 aws.Int32(int32(days)),
			GlacierJobParameters: &types.GlacierJobParameters{Tier: types.Tier(tier)},
		},
	}, c.options)
	switch errorCode(err) {
	case "RestoreAlreadyInProgress":
		return nil
	case "InvalidObjectState": // for a read it says cold, here it says the opposite
		return fmt.Errorf("%w: the object is in no class that has to be thawed (%s)", ErrRefused, errorText(err))
	case "NotImplemented", "MethodNotAllowed":
		return fmt.Errorf("%w: this server has no cold classes that it could be asked about (%s)", ErrRefused, errorText(err))
	case "GlacierExpeditedRetrievalNotAvailable":
		return fmt.Errorf("%w: no capacity for the tier %s now; try again, or take a slower tier", ErrThrottled, tier)
	}
	return err
}

// errorText is what the server said, without the client's words around it.
func errorText(err error) string {
	var said interface{ ErrorMessage() string }
	if errors.As(err, &said) {
		return said.ErrorMessage()
	}
	return err.Error()
}
