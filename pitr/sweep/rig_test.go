package sweep_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/pitr/sweep"
	"github.com/nodedb-go/nodedb/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nodeID = "n1"

// rig is a store, and a writer of one node that archives into it.
type rig struct {
	t     *testing.T
	store archive.Store
	fs    *vfs.MemFS
	now   time.Time // of records and of sweeps; moves by a second with each record
	epoch archive.EpochInfo
	log   *wal.Log
	keys  []string // of segments, as they were archived
	// recipients of what is archived; nil: everybody reads it
	recipients *archive.Recipients
}

func newStore(t *testing.T) archive.Store {
	t.Helper()
	s, _, err := archive.OpenStore(t.Context(), "mem://")
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, store: newStore(t), fs: vfs.NewMem(), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	t.Cleanup(r.stop)
	r.start(1)
	return r
}

// start claims the next epoch and begins a log at first. What ran before is over.
func (r *rig) start(first wal.LSN) {
	r.t.Helper()
	r.stop()
	var err error
	r.epoch, err = archive.ClaimEpoch(r.t.Context(), []archive.StoreConfig{{Store: r.store}}, archive.Claim{NodeID: nodeID, Timeline: 1,
		FirstLSN: first, LastEpoch: r.epoch.Epoch, VShards: 2, Dir: "claims", FS: r.fs, Host: "host-a", Clock: r.clock})
	check(r.t, err)
	r.write(r.epoch.Epoch, first)
}

// stop ends the log.
func (r *rig) stop() {
	r.t.Helper()
	if r.log != nil {
		check(r.t, r.log.Close())
		r.log = nil
	}
}

// write begins a log of an epoch, claimed or not. What ran before is over.
func (r *rig) write(e wal.Epoch, first wal.LSN) {
	r.t.Helper()
	r.stop()
	var err error
	r.log, err = wal.Open(fmt.Sprintf("wal-%d-%d", e, len(r.keys)), &wal.Options{FS: r.fs, NodeID: nodeID, FirstLSN: first,
		SegmentBytes: 64 << 10, SegmentAge: -1, SpareSegments: -1, Clock: r.clock})
	check(r.t, err)
	check(r.t, r.log.Start(1, e))
}

func (r *rig) clock() time.Time { return r.now }

// segment archives one segment with a put of each key, and gives its name.
func (r *rig) segment(keys ...string) string {
	r.t.Helper()
	for _, key := range keys {
		put := kv.AppendPut(nil, &kv.Put{Op: kv.OpPut, Key: []byte(key), Value: []byte("v" + key)})
		r.record(kv.TypePut, kv.VShardOf([]byte(key), 2), put)
	}
	return r.seal()
}

func (r *rig) record(typ wal.Type, vshard uint16, payload []byte) {
	r.t.Helper()
	var b wal.Batch
	check(r.t, b.Add(typ, 0, vshard, nil, payload))
	r.now = r.now.Add(time.Second)
	_, _, err := r.log.AppendSync(r.t.Context(), &b)
	check(r.t, err)
}

func (r *rig) seal() string {
	r.t.Helper()
	seg, ok, err := r.log.Seal(r.t.Context())
	if err != nil || !ok {
		r.t.Fatalf("seal: %v, %v", ok, err)
	}
	f, err := r.fs.Open(seg.Path)
	check(r.t, err)
	defer func() { check(r.t, f.Close()) }()
	var sealed bytes.Buffer
	k := archive.SegmentKey{Timeline: seg.Timeline, First: seg.First, Last: seg.Last, Epoch: seg.Epoch, SHA16: archive.Short(seg.SHA256)}
	if r.recipients == nil {
		_, err = archive.Seal(&sealed, io.LimitReader(f, seg.Bytes))
	} else {
		var info archive.SealInfo
		info, err = archive.SealFor(&sealed, io.LimitReader(f, seg.Bytes), r.recipients)
		k.Age = archive.Age{Recipients: r.recipients.ID(), MD5: archive.ShortSum(info.SealedMD5[:8])}
	}
	check(r.t, err)
	key := archive.Join(nodeID, k)
	r.create(key, sealed.Bytes())
	r.keys = append(r.keys, key)
	return key
}

func (r *rig) create(key string, data []byte) {
	r.t.Helper()
	check(r.t, r.store.Create(r.t.Context(), key, bytes.NewReader(data), int64(len(data))))
}

func (r *rig) remove(key string) {
	r.t.Helper()
	check(r.t, r.store.Delete(r.t.Context(), key))
}

func (r *rig) read(key string) []byte {
	r.t.Helper()
	body, err := r.store.ReadRange(r.t.Context(), key, 0, -1)
	check(r.t, err)
	data, err := io.ReadAll(body)
	check(r.t, err)
	check(r.t, body.Close())
	return data
}

// damage flips a bit in the middle of an object.
func (r *rig) damage(key string) {
	r.t.Helper()
	data := r.read(key)
	data[len(data)/2] ^= 4
	r.remove(key)
	r.create(key, data)
}

// names are all keys of the store that hold part.
func (r *rig) names(part string) []string {
	r.t.Helper()
	var out []string
	for o, err := range r.store.List(r.t.Context(), "", "") {
		check(r.t, err)
		if strings.Contains(o.Key, part) {
			out = append(out, o.Key)
		}
	}
	return out
}

func (r *rig) archive() *archive.Archive { return archiveIn(r.t, r.store) }

func archiveIn(t *testing.T, s archive.Store) *archive.Archive {
	t.Helper()
	a, err := archive.Open(s, nodeID)
	check(t, err)
	return a
}

// sweep runs one with the rig's clock.
func (r *rig) sweep(o sweep.Options) *sweep.Report {
	r.t.Helper()
	o.Clock = r.clock
	return sweep.Run(r.t.Context(), r.archive(), &o)
}

// found are the findings of a kind.
func found(r *sweep.Report, kind sweep.Kind) []sweep.Finding {
	var out []sweep.Finding
	for _, f := range r.Findings {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

// clean fails unless nothing needs attention.
func clean(t *testing.T, r *sweep.Report) {
	t.Helper()
	if !r.Listed || r.Attention() > 0 || sweep.ExitCode([]*sweep.Report{r}) != pitr.ExitDone {
		t.Fatalf("needs attention: %+v", r.Findings)
	}
}

// only fails unless the findings that need attention are of these kinds, and the
// exit code is that of the worst.
func only(t *testing.T, r *sweep.Report, exit int, kinds ...sweep.Kind) {
	t.Helper()
	var got []sweep.Kind
	for _, f := range r.Findings {
		if f.Severity != sweep.Notice {
			got = append(got, f.Kind)
		}
	}
	slices.Sort(got)
	slices.Sort(kinds)
	if !slices.Equal(got, kinds) {
		t.Errorf("findings of %v, want %v: %+v", got, kinds, r.Findings)
	}
	if code := sweep.ExitCode([]*sweep.Report{r}); code != exit {
		t.Errorf("exit code %d, want %d", code, exit)
	}
}

func skipped(r *sweep.Report, step string) string {
	for _, s := range r.Skipped {
		if s.Step == step {
			return s.Why
		}
	}
	return ""
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
