package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb-go/nodedb/node/engine/kv"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// VersionView is a version of a key as people and scripts see it. Bytes that are
// not UTF-8 stand in the fields that end in _b64.
type VersionView struct {
	LSN      wal.LSN      `json:"lsn,omitempty"`
	Time     string       `json:"time,omitempty"`
	Timeline wal.Timeline `json:"timeline,omitempty"`
	Op       string       `json:"op"`             // put, delete, expire, base, absent or unknown
	Type     string       `json:"type,omitempty"` // of the record
	Tenant   uint32       `json:"tenant,omitempty"`
	ChangeView
	Unsure  bool           `json:"unsure,omitempty"`
	Base    *pitr.Position `json:"base,omitempty"`
	LastLSN wal.LSN        `json:"last_lsn,omitempty"` // of what is unknown; absent: no end is known
}

var typeNames = map[wal.Type]string{kv.TypePut: "put", kv.TypeDelete: "delete", kv.TypeBatch: "batch", kv.TypeExpire: "expire"}

// ViewVersion shows a version.
func ViewVersion(v *pitr.Version) VersionView {
	out := VersionView{LSN: v.LSN, Timeline: v.Timeline, Op: opName(v.Op), Type: typeNames[v.Type], Tenant: v.Tenant,
		Unsure: v.Unsure, Base: v.Base, LastLSN: v.To}
	if !v.Time.IsZero() {
		out.Time = FormatTime(v.Time)
	}
	switch v.Op {
	case pitr.OpPut, pitr.OpBase:
		out.ChangeView = viewPut(v.Key, v.Value, v.ExpireAt)
	case pitr.OpUnknown:
		if v.To == ^wal.LSN(0) {
			out.LastLSN = 0
		}
	case pitr.OpExpire:
		out.ChangeView = viewKey(v.Key)
		out.ExpiresAt = FormatTime(time.UnixMilli(v.ExpireAt))
	default:
		out.ChangeView = viewKey(v.Key)
	}
	return out
}

func opName(op string) string {
	if op == pitr.OpDelete {
		return "delete"
	}
	return op
}

// Line writes the version on one line.
func (v *VersionView) Line() string {
	var b strings.Builder
	at := v.Time
	if at == "" {
		at = "-"
	}
	fmt.Fprintf(&b, "%10d  %-27s  tl %-3d %-7s", v.LSN, at, v.Timeline, v.Op)
	if v.Tenant != 0 {
		fmt.Fprintf(&b, " tenant %d", v.Tenant)
	}
	b.WriteString(v.text())
	if v.Type != "" && v.Type != v.Op {
		fmt.Fprintf(&b, "  (%s)", v.Type)
	}
	switch v.Op {
	case pitr.OpUnknown:
		end := "on: a store does not answer"
		if v.LastLSN != 0 {
			end = "to " + strconv.FormatUint(uint64(v.LastLSN), 10)
		}
		fmt.Fprintf(&b, "  what was written from LSN %d %s", v.LSN, end)
	case pitr.OpBase, pitr.OpAbsent:
		fmt.Fprintf(&b, "  (in base at LSN %d)", v.Base.LSN)
	}
	if v.Unsure {
		b.WriteString("  (if it was due then; what the key held before is not known)")
	}
	return b.String()
}

// ValueView is what a key held at a position.
type ValueView struct {
	At      pitr.Position `json:"at"`
	Tenant  uint32        `json:"tenant,omitempty"`
	Found   bool          `json:"found"`
	Expired bool          `json:"expired,omitempty"` // stored, and hidden by its expiry
	ChangeView
	Op  string  `json:"op,omitempty"`  // that made it so: put, delete, expire or base
	LSN wal.LSN `json:"lsn,omitempty"` // of its record
}

// ViewValue shows what a key held.
func ViewValue(v *pitr.Value) ValueView {
	out := ValueView{At: v.At, Tenant: v.Tenant, Found: v.Found, Expired: v.Expired, Op: opName(v.Op), LSN: v.Written}
	if v.Found || v.Expired {
		out.ChangeView = viewPut(v.Key, v.Value, v.ExpireAt)
	} else {
		out.ChangeView = viewKey(v.Key)
	}
	return out
}

// DiffView is what differs between two positions.
type DiffView struct {
	From pitr.Position `json:"from"`
	To   pitr.Position `json:"to"`
	Keys []DiffKeyView `json:"keys"`
}

// DiffKeyView is one key that differs; a side without a value is absent.
type DiffKeyView struct {
	Tenant uint32 `json:"tenant,omitempty"`
	ChangeView
	Old *VersionView `json:"old,omitempty"`
	New *VersionView `json:"new,omitempty"`
}

// ViewDiff shows what differs.
func ViewDiff(d *pitr.DiffReport) DiffView {
	out := DiffView{From: d.From, To: d.To, Keys: []DiffKeyView{}}
	side := func(v *pitr.Version) *VersionView {
		if v == nil {
			return nil
		}
		view := ViewVersion(v)
		view.Tenant, view.Key, view.KeyB64 = 0, nil, "" // said once
		return &view
	}
	for i := range d.Keys {
		k := &d.Keys[i]
		out.Keys = append(out.Keys, DiffKeyView{Tenant: k.Tenant, ChangeView: viewKey(k.Key), Old: side(k.Old), New: side(k.New)})
	}
	return out
}

// Line writes the key on one line: + for a new one, - for one that is gone, ~
// for another value.
func (d *DiffKeyView) Line() string {
	mark, value := "~", ""
	switch {
	case d.Old == nil:
		mark, value = "+", d.New.text()
	case d.New == nil:
		mark, value = "-", d.Old.text()
	default:
		value = d.Old.text() + "  →" + strings.TrimPrefix(d.New.text(), " =")
	}
	tenant := ""
	if d.Tenant != 0 {
		tenant = fmt.Sprintf(" tenant %d", d.Tenant)
	}
	return mark + tenant + d.text() + value
}
