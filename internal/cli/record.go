package cli

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/wal"
)

// RecordView is a record of the log as people and scripts see it. Bytes that
// are not UTF-8 stand in the fields that end in _b64.
type RecordView struct {
	LSN    wal.LSN `json:"lsn"`
	Time   string  `json:"time"`
	Type   string  `json:"type"`
	Tenant uint32  `json:"tenant,omitempty"`
	VShard *uint16 `json:"vshard,omitempty"`
	Op     string  `json:"op,omitempty"`
	IdemB  string  `json:"idempotency_key_b64,omitempty"`
	ChangeView
	Changes []ChangeView `json:"changes,omitempty"`
	Note    string       `json:"note,omitempty"`
}

// ChangeView is what a record does to one key.
type ChangeView struct {
	Kind      string  `json:"kind,omitempty"` // in a list of changes: put, delete or expire
	Tenant    *uint32 `json:"of_tenant,omitempty"`
	Key       *string `json:"key,omitempty"`
	KeyB64    string  `json:"key_b64,omitempty"`
	Value     *string `json:"value,omitempty"`
	ValueB64  string  `json:"value_b64,omitempty"`
	ExpiresAt string  `json:"expires_at,omitempty"`
	bytes     int     // of the value
	hasValue  bool
}

// opNames are the names of kv.Op.
var opNames = map[kv.Op]string{
	kv.OpPut: "put", kv.OpDelete: "delete", kv.OpIncrement: "increment", kv.OpCompareAndSwap: "compare-and-swap",
	kv.OpPutIfAbsent: "put-if-absent", kv.OpExpire: "expire", kv.OpBatch: "batch", kv.OpMaintenance: "maintenance",
}

// ViewRecord decodes a record. What cannot be decoded is said in Note, with the
// record's frame around it intact.
func ViewRecord(r *wal.Record) RecordView {
	v := RecordView{LSN: r.LSN, Time: FormatTime(time.UnixMicro(r.Time)), Type: r.Type.String(), Tenant: r.Tenant}
	if r.VShard != wal.VShardNone {
		v.VShard = new(r.VShard)
	}
	if len(r.Idem) > 0 {
		v.IdemB = base64.StdEncoding.EncodeToString(r.Idem)
	}
	var err error
	if r.Type < wal.Type(64) {
		v.Note, err = controlNote(r)
	} else {
		err = v.decodeKV(r)
	}
	if err != nil {
		v.Note = "cannot be decoded: " + err.Error()
	}
	return v
}

func controlNote(r *wal.Record) (string, error) {
	switch r.Type {
	case wal.TypeCheckpoint:
		c, err := wal.DecodeCheckpoint(r.Payload)
		return fmt.Sprintf("flushed up to LSN %d", c.LSN), err
	case wal.TypeRestorePoint:
		p, err := wal.DecodeRestorePoint(r.Payload)
		return fmt.Sprintf("restore point %q", p.Name), err
	case wal.TypeDigest:
		d, err := wal.DecodeDigest(r.Payload)
		return fmt.Sprintf("digest at LSN %d: %x, %d entries", d.LSN, d.Sum, d.Entries), err
	case wal.TypeOpen:
		o, err := wal.DecodeOpened(r.Payload)
		return fmt.Sprintf("opened by version %q on %q", o.Version, o.Host), err
	}
	return "", nil
}

func (v *RecordView) decodeKV(r *wal.Record) error {
	var op kv.Op
	var err error
	switch r.Type {
	case kv.TypePut:
		var p kv.Put
		p, err = kv.DecodePut(r.Payload)
		v.Type, op, v.ChangeView = "put", p.Op, viewPut(p.Key, p.Value, p.ExpireAt)
	case kv.TypeDelete:
		var d kv.Delete
		d, err = kv.DecodeDelete(r.Payload)
		v.Type, op, v.ChangeView = "delete", d.Op, viewKey(d.Key)
	case kv.TypeBatch:
		var b kv.Batch
		b, err = kv.DecodeBatch(r.Payload)
		v.Type, op, v.Changes = "batch", b.Op, viewMutations(b.Mutations)
	case kv.TypeExpire:
		var e kv.Expire
		e, err = kv.DecodeExpire(r.Payload)
		v.Type, op, v.Changes = "expire", e.Op, viewDue(e.Keys)
	case kv.TypeIdemPurge:
		var p kv.IdemPurge
		p, err = kv.DecodeIdemPurge(r.Payload)
		v.Type, op = "idem-purge", p.Op
		v.Note = "forget outcomes before " + FormatTime(time.UnixMicro(p.BeforeMicros))
	case kv.TypeResult:
		var p kv.Result
		p, err = kv.DecodeResult(r.Payload)
		v.Type, op = "result", p.Op
	default:
		v.Note = fmt.Sprintf("%d bytes of an engine that this program does not know", len(r.Payload))
	}
	if name := opNames[op]; name != v.Type {
		v.Op = name
	}
	return err
}

func viewKey(key []byte) ChangeView {
	var v ChangeView
	if utf8.Valid(key) {
		v.Key = new(string(key))
	} else {
		v.KeyB64 = base64.StdEncoding.EncodeToString(key)
	}
	return v
}

func viewPut(key, value []byte, expireAt int64) ChangeView {
	v := viewKey(key)
	v.bytes, v.hasValue = len(value), true
	if utf8.Valid(value) {
		v.Value = new(string(value))
	} else {
		v.ValueB64 = base64.StdEncoding.EncodeToString(value)
	}
	if expireAt != 0 {
		v.ExpiresAt = FormatTime(time.UnixMilli(expireAt))
	}
	return v
}

func viewMutations(all []kv.Mutation) []ChangeView {
	out := make([]ChangeView, 0, len(all))
	for _, m := range all {
		v := viewPut(m.Key, m.Value, m.ExpireAt)
		v.Kind = "put"
		if m.Delete {
			v = viewKey(m.Key)
			v.Kind = "delete"
		}
		out = append(out, v)
	}
	return out
}

func viewDue(all []kv.Due) []ChangeView {
	out := make([]ChangeView, 0, len(all))
	for _, d := range all {
		v := viewKey(d.Key)
		v.Kind, v.Tenant = "expire", new(d.Tenant)
		v.ExpiresAt = FormatTime(time.UnixMilli(d.Millis))
		out = append(out, v)
	}
	return out
}

// previewBytes is how much of a value a line for people shows.
const previewBytes = 48

// Line writes the record on one line; a batch shows its first change.
func (v *RecordView) Line() string {
	var b strings.Builder
	shard := "-"
	if v.VShard != nil {
		shard = strconv.Itoa(int(*v.VShard))
	}
	fmt.Fprintf(&b, "%10d  %s  %-13s %3s", v.LSN, v.Time, v.Type, shard)
	if v.Tenant != 0 {
		fmt.Fprintf(&b, " tenant %d", v.Tenant)
	}
	b.WriteString(v.ChangeView.text())
	if n := len(v.Changes); n > 0 {
		fmt.Fprintf(&b, "  %s, first: %s%s", Plural(n, "key"), v.Changes[0].Kind, v.Changes[0].text())
	}
	if v.Op != "" {
		fmt.Fprintf(&b, "  (%s)", v.Op)
	}
	if v.Note != "" {
		b.WriteString("  " + v.Note)
	}
	return b.String()
}

func (v *ChangeView) text() string {
	text := ""
	switch {
	case v.Key != nil:
		text = "  " + strconv.Quote(*v.Key)
	case v.KeyB64 != "":
		text = "  base64:" + v.KeyB64
	}
	if v.hasValue {
		preview := "binary"
		if v.Value != nil {
			p := *v.Value
			if len(p) > previewBytes {
				p = strings.ToValidUTF8(p[:previewBytes], "") + "…"
			}
			preview = strconv.Quote(p)
		}
		text += fmt.Sprintf(" = %d B %s", v.bytes, preview)
	}
	if v.ExpiresAt != "" {
		text += " until " + v.ExpiresAt
	}
	return text
}
