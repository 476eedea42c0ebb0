package servertest

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/minio/minio-go/v7"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/retain"
)

// What a bucket with Object Lock keeps is retained, and no error; it is still
// there, not hidden by a deletion that the bucket acknowledges.
func TestPruneOnObjectLock(t *testing.T) {
	ctx := t.Context()
	const name = "locked"
	c := client(t)
	if err := c.MakeBucket(ctx, name, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	s := open(t, storeURL(name, ""))
	a, err := archive.Open(s, "shop")
	if err != nil {
		t.Fatal(err)
	}
	_, err = archive.ClaimEpoch(ctx, []archive.StoreConfig{{Store: s}}, archive.Claim{NodeID: "shop", Dir: t.TempDir(), FS: vfs.Default, Timeline: 1, FirstLSN: 1})
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]string)
	for i, kind := range []string{"free", "until", "hold"} {
		k := archive.ObjKey{SHA256: [32]byte{byte(i)}}
		keys[kind] = archive.Join("shop", k)
		if err := s.Create(ctx, keys[kind], strings.NewReader(kind), int64(len(kind))); err != nil {
			t.Fatal(err)
		}
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	mode, on := minio.Governance, minio.LegalHoldEnabled
	if err := c.PutObjectRetention(ctx, name, keys["until"], minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until}); err != nil {
		t.Fatal(err)
	}
	if err := c.PutObjectLegalHold(ctx, name, keys["hold"], minio.PutObjectLegalHoldOptions{Status: &on}); err != nil {
		t.Fatal(err)
	}
	r, err := retain.Run(ctx, []*archive.Archive{a}, retain.Options{Policy: retain.Policy{Last: 1}, Apply: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]retain.Item)
	for _, it := range r.Stores[0].Items {
		got[archive.NodePrefix("shop")+it.Key] = it
	}
	if it := got[keys["free"]]; it.Stage != retain.StageDeleted {
		t.Errorf("free: %+v", it)
	}
	if it := got[keys["until"]]; it.Stage != retain.StageRetained || !it.Until.Equal(until) {
		t.Errorf("until %s: %+v", until, it)
	}
	if it := got[keys["hold"]]; it.Stage != retain.StageRetained || !it.Hold {
		t.Errorf("hold: %+v", it)
	}
	for _, kind := range []string{"until", "hold"} {
		if _, err := s.Stat(ctx, keys[kind]); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	log, err := archive.ReadPruneLog(ctx, s, "shop")
	if err != nil || len(log.Records) != 3 || len(log.Records[2].Retained) != 2 || log.Records[2].Deleted != 1 {
		t.Errorf("log: %v, %+v", err, log.Records)
	}
}
