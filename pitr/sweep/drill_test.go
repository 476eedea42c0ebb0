package sweep_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/pitr/sweep"
	"github.com/nodedb-go/nodedb/wal"
)

// A small node is restored and compared: without a published digest there is nothing
// to compare, with the right one it is equal, with a wrong one that is a problem, and
// stays one until a drill finds none. A large one is left alone.
func TestDrill(t *testing.T) {
	r := newRig(t)
	r.segment("a", "b")
	fs := vfs.NewMem()
	check(t, fs.MkdirAll("/tmp", 0o755))
	o := sweep.Options{NoIndex: true, DrillBytes: 1 << 20, DrillDir: "/tmp", Restore: pitr.Options{FS: fs}}
	small := o
	small.DrillBytes = 10
	if rep := r.sweep(small); rep.Drill != nil || !strings.Contains(skipped(rep, "drill"), "at most 10 are allowed") {
		t.Errorf("drilled a large node: %+v", rep.Skipped)
	}
	rep := r.sweep(o)
	clean(t, rep)
	if rep.Drill == nil || rep.Drill.Verdict != archive.VerdictUnproven || len(found(rep, sweep.Drill)) != 1 {
		t.Fatalf("%+v: %+v", rep.Drill, rep.Findings)
	}
	if got := r.names("/proof/"); len(got) != 1 || !strings.HasSuffix(got[0], rep.Drill.Key) {
		t.Errorf("proofs %v, want %s", got, rep.Drill.Key)
	}

	publish := func(digest string) {
		d := wal.Digest{LSN: 2, Entries: 2}
		raw, err := hex.DecodeString(digest)
		check(t, err)
		copy(d.Sum[:], raw)
		r.record(wal.TypeDigest, wal.VShardNone, d.Append(nil))
		r.seal()
	}
	wrong := strings.Repeat("12", 32)
	publish(wrong)
	rep = r.sweep(o)
	only(t, rep, pitr.ExitCorrupt, sweep.Drill)
	if f := found(rep, sweep.Drill)[0]; f.From != 2 || !strings.Contains(f.Text, wrong) {
		t.Errorf("%+v", f)
	}
	o.DrillEvery = 100 * 365 * 24 * time.Hour // whatever the store's clock says
	rep = r.sweep(o)
	only(t, rep, pitr.ExitCorrupt, sweep.Drill)
	if rep.Drill != nil {
		t.Error("a drill that was not due")
	}
	if names, err := fs.List("/tmp"); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}
