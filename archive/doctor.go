package archive

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Finding is the verdict of one check of a store.
type Finding string

// The verdicts, from good to bad.
const (
	FindingPass Finding = "pass"
	FindingSkip Finding = "skip" // the store does not tell
	FindingWarn Finding = "warn" // works, and could be safer
	FindingFail Finding = "fail" // the archive cannot rely on it
)

// DoctorCheck is one thing that was tried.
type DoctorCheck struct {
	Name    string  `json:"name"`
	Finding Finding `json:"verdict"`
	Detail  string  `json:"detail"`
	Advice  string  `json:"advice,omitempty"`
}

// DoctorReport is what an examination of a store found.
type DoctorReport struct {
	Store   string        `json:"store"`
	Verdict Finding       `json:"verdict"` // the worst
	Checks  []DoctorCheck `json:"checks"`
	Left    []string      `json:"left"` // probe objects that could not be deleted
}

const (
	// doctorPrefix is no node's: ids do not begin with an underscore.
	doctorPrefix    = root + "_doctor/"
	doctorLarge     = 6 << 20 // two parts of 5 MiB and less
	doctorSamples   = 5
	doctorRace      = 8
	doctorSkewWarn  = 2 * time.Second
	doctorSlowWarn  = time.Second
	doctorEndGrants = 30 * time.Second // for cleaning up after the context ended
)

type doctor struct {
	s      Store
	prefix string
	report *DoctorReport
	made   []string
	small  []byte
}

// Examine tries on a store what the archive relies on, and what must not be
// possible, with probe objects under nodedb/v1/_doctor/. large is the same store,
// opened so that objects of 6 MiB travel in parts; s itself where the URL has no
// say in that. Everything is in the report; an error is the context's only.
func Examine(ctx context.Context, s, large Store) (*DoctorReport, error) {
	var id [8]byte
	if _, err := io.ReadFull(rand.Reader, id[:]); err != nil {
		return nil, fmt.Errorf("draw a name: %w", err)
	}
	d := &doctor{s: s, prefix: doctorPrefix + hex.EncodeToString(id[:]) + "/", small: make([]byte, 4<<10),
		report: &DoctorReport{Store: s.URL(), Checks: []DoctorCheck{}, Left: []string{}}}
	_, _ = io.ReadFull(rand.Reader, d.small)
	if d.create(ctx) {
		d.absent(ctx)
		d.ranges(ctx)
		d.listed(ctx)
		d.overwrite(ctx, "overwrite refused", s, d.prefix+"a", d.small)
		d.race(ctx)
		d.parts(ctx, large)
		d.speed(ctx)
		d.bucket(ctx)
	}
	d.remove(ctx)
	for _, c := range d.report.Checks {
		if order := []Finding{FindingPass, FindingSkip, FindingWarn, FindingFail}; slices.Index(order, c.Finding) > slices.Index(order, d.report.Verdict) {
			d.report.Verdict = c.Finding
		}
	}
	return d.report, ctx.Err()
}

func (d *doctor) say(name string, f Finding, advice, format string, args ...any) {
	if f == FindingPass {
		advice = ""
	}
	d.report.Checks = append(d.report.Checks, DoctorCheck{Name: name, Finding: f, Detail: fmt.Sprintf(format, args...), Advice: advice})
}

func (d *doctor) put(ctx context.Context, s Store, key string, data []byte) error {
	err := s.Create(ctx, key, bytes.NewReader(data), int64(len(data)))
	if err == nil || !errors.Is(err, ErrExists) {
		d.made = append(d.made, key) // an error does not prove absence
	}
	return err
}

func (d *doctor) read(ctx context.Context, key string, off, n int64) ([]byte, error) {
	r, err := d.s.ReadRange(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// create is what everything else needs: an object is stored, comes back, and the
// clocks agree.
func (d *doctor) create(ctx context.Context) bool {
	key, before := d.prefix+"a", time.Now()
	if err := d.put(ctx, d.s, key, d.small); err != nil {
		d.say("create", FindingFail, "check the URL, the credentials, and that they may create objects", "%v", err)
		return false
	}
	after := time.Now()
	d.say("create", FindingPass, "", "an object of %d bytes was acknowledged", len(d.small))
	got, err := d.read(ctx, key, 0, -1)
	if err != nil || !bytes.Equal(got, d.small) {
		d.say("read back", FindingFail, "do not archive here: what the store acknowledged is not there, or cannot be read with these credentials",
			"got %d of %d bytes, %v", len(got), len(d.small), err)
		return false
	}
	d.say("read back", FindingPass, "", "the same bytes")
	o, err := d.s.Stat(ctx, key)
	sum := md5.Sum(d.small)
	switch {
	case err != nil || o.Size != int64(len(d.small)) || len(o.MD5) > 0 && !bytes.Equal(o.MD5, sum[:]):
		d.say("stat", FindingFail, "do not archive here: size and sum prove uploads", "size %d, MD5 %x, %v", o.Size, o.MD5, err)
		return true
	case len(o.MD5) == 0:
		d.say("stat", FindingPass, "", "the size is right; no MD5 is told, so uploads are read back for proof")
	default:
		d.say("stat", FindingPass, "", "size and MD5 are right")
	}
	skew := time.Duration(0)
	if o.ModTime.Before(before) {
		skew = o.ModTime.Sub(before)
	} else if o.ModTime.After(after) {
		skew = o.ModTime.Sub(after)
	}
	f := FindingPass
	if skew.Abs() > doctorSkewWarn {
		f = FindingWarn
	}
	d.say("clock", f, "let this machine follow a time server: a store refuses signatures that are minutes off, and retention counts ages",
		"the store's clock is %v from ours", skew.Round(time.Millisecond))
	return true
}

// absent must be told from denied: unknown is never absent.
func (d *doctor) absent(ctx context.Context) {
	_, err := d.s.Stat(ctx, d.prefix+"nothing")
	if errors.Is(err, ErrNotFound) {
		d.say("absent object", FindingPass, "", "it is told as absent")
		return
	}
	d.say("absent object", FindingFail, "allow listing the bucket: without it stores answer \"denied\" for what is not there", "%v", err)
}

func (d *doctor) ranges(ctx context.Context) {
	n := int64(len(d.small))
	for _, r := range [][2]int64{{100, 50}, {n - 10, 100}, {n, 10}} {
		got, err := d.read(ctx, d.prefix+"a", r[0], r[1])
		if want := d.small[r[0]:min(r[0]+r[1], n)]; err != nil || !bytes.Equal(got, want) {
			d.say("range read", FindingFail, "do not archive here: footers and frames are read by range", "bytes %d+%d: got %d, want %d, %v", r[0], r[1], len(got), len(want), err)
			return
		}
	}
	d.say("range read", FindingPass, "", "in the middle, over the end and at the end")
}

func (d *doctor) listed(ctx context.Context) {
	for o, err := range d.s.List(ctx, d.prefix, "") {
		if err != nil {
			d.say("list after write", FindingFail, "allow listing: a restore must find what is there", "%v", err)
			return
		}
		if o.Key == d.prefix+"a" && o.Size == int64(len(d.small)) {
			d.say("list after write", FindingPass, "", "listed at once")
			return
		}
	}
	d.say("list after write", FindingWarn, "a restore and a start see only what is listed: leave time between a write and those", "what was just created is not listed yet")
}

// overwrite is law 7: a second create must be refused and change nothing.
func (d *doctor) overwrite(ctx context.Context, name string, s Store, key string, first []byte) {
	const advice = "do not archive here: the store ignores If-None-Match, so two writers would overwrite each other; use a store or version that honours it"
	second := bytes.Clone(first)
	second[0] ^= 0xff
	err := s.Create(ctx, key, bytes.NewReader(second), int64(len(second)))
	got, rerr := d.read(ctx, key, 0, -1)
	switch {
	case rerr != nil:
		d.say(name, FindingFail, advice, "the object cannot be read afterwards: %v", rerr)
	case !bytes.Equal(got, first):
		d.say(name, FindingFail, advice, "the object was overwritten (the store said: %v)", err)
	case !errors.Is(err, ErrExists):
		d.say(name, FindingFail, advice, "a second create got %v, want a refusal", err)
	default:
		d.say(name, FindingPass, "", "a second create is refused, the object is unchanged")
	}
}

// race: of many at once one may win.
func (d *doctor) race(ctx context.Context) {
	key, errs := d.prefix+"race", make([]error, doctorRace)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			body := bytes.Repeat([]byte{byte(i)}, 1000)
			errs[i] = d.s.Create(ctx, key, bytes.NewReader(body), int64(len(body)))
		})
	}
	wg.Wait()
	d.made = append(d.made, key)
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	f := FindingPass
	if won != 1 {
		f = FindingFail
	}
	d.say("create race", f, "do not archive here: epochs are claimed by who creates first", "%d of %d creates at once won", won, len(errs))
}

// parts is the same for an object that travels in parts: there the condition is
// on another request.
func (d *doctor) parts(ctx context.Context, large Store) {
	key, body := d.prefix+"parts", bytes.Repeat(d.small, doctorLarge/len(d.small))
	begun := time.Now()
	if err := d.put(ctx, large, key, body); err != nil {
		d.say("large object", FindingFail, "allow multipart uploads, or check limits on sizes", "%v", err)
		return
	}
	up := time.Since(begun)
	begun = time.Now()
	got, err := d.read(ctx, key, 0, -1)
	if err != nil || !bytes.Equal(got, body) {
		d.say("large object", FindingFail, "do not archive here: parts do not come back as they were sent", "got %d of %d bytes, %v", len(got), len(body), err)
		return
	}
	rate := func(t time.Duration) float64 { return float64(doctorLarge) / (1 << 20) / max(t.Seconds(), 1e-6) }
	d.say("large object", FindingPass, "", "6 MiB up at %.1f MiB/s, down at %.1f MiB/s, one stream", rate(up), rate(time.Since(begun)))
	d.overwrite(ctx, "overwrite in parts refused", large, key, body)
}

// speed is the median of small requests.
func (d *doctor) speed(ctx context.Context) {
	var ups, downs []time.Duration
	for i := range doctorSamples {
		key, begun := fmt.Sprintf("%slatency-%d", d.prefix, i), time.Now()
		if err := d.put(ctx, d.s, key, d.small); err != nil {
			d.say("latency", FindingFail, "the store works at times only", "%v", err)
			return
		}
		ups, begun = append(ups, time.Since(begun)), time.Now()
		if _, err := d.read(ctx, key, 0, 100); err != nil {
			d.say("latency", FindingFail, "the store works at times only", "%v", err)
			return
		}
		downs = append(downs, time.Since(begun))
	}
	slices.Sort(ups)
	slices.Sort(downs)
	up, down, f := ups[doctorSamples/2], downs[doctorSamples/2], FindingPass
	if max(up, down) > doctorSlowWarn {
		f = FindingWarn
	}
	d.say("latency", f, "choose a store that is nearer: a start and a plan make many small requests",
		"4 KiB create %v, ranged read %v (median of %d)", up.Round(time.Microsecond), down.Round(time.Microsecond), doctorSamples)
}

// remove tries to delete the probes, which the credentials of a writer should
// not be able to.
func (d *doctor) remove(ctx context.Context) {
	if len(d.made) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), doctorEndGrants)
	defer cancel()
	var refused error
	gone := 0
	for _, key := range d.made {
		err := d.s.Delete(ctx, key)
		_, serr := d.s.Stat(ctx, key)
		switch {
		case errors.Is(serr, ErrNotFound):
			if err == nil {
				gone++ // else it never was there
			}
		default:
			d.report.Left = append(d.report.Left, key)
			refused = errors.Join(refused, err)
		}
	}
	switch {
	case gone == 0 && len(d.report.Left) == 0:
		d.say("delete refused", FindingSkip, "look at what failed first", "there was nothing to delete")
	case gone > 0 && len(d.report.Left) == 0:
		d.say("delete refused", FindingWarn, "give a node credentials that cannot delete, and prune with others: then who steals the node cannot destroy its past",
			"these credentials can delete objects")
	case refused == nil:
		d.say("delete refused", FindingWarn, "do not prune here before this is understood", "the store acknowledged deletions and %d objects are still there", len(d.report.Left))
	default:
		d.say("delete refused", FindingPass, "", "%d probe objects stay, see left", len(d.report.Left))
	}
}
