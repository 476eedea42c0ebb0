package admin

import (
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

var circuits = map[string]float64{"closed": 0, "half-open": 1, "open": 2, "fenced": 3}

func (c *scrape) archive(st *node.Status) {
	a := st.Archive
	if a == nil {
		return
	}
	c.put("nodedb_archive_last_lsn", float64(st.Watermarks.Archived))
	c.put("nodedb_archive_lag_bytes", float64(st.Lag.Bytes))
	c.put("nodedb_archive_lag_lsns", float64(st.Lag.LSNs))
	c.put("nodedb_archive_lag_seconds", st.Lag.Age(c.now).Seconds())
	c.put("nodedb_archive_budget_bytes", float64(a.BudgetBytes))
	c.put("nodedb_archive_fenced", truth(a.Fenced != ""))
	c.put("nodedb_archive_paused", truth(a.Stalled != ""))
	used := 0.0
	if a.BudgetBytes > 0 {
		used = float64(a.WaitingBytes) / float64(a.BudgetBytes)
	}
	c.put("nodedb_archive_backpressure_ratio", used)
	var verified time.Time
	var bytes, failures, conflicts int64
	for i := range a.Stores {
		s := &a.Stores[i]
		c.store(s)
		if s.LastVerified.After(verified) {
			verified = s.LastVerified
		}
		bytes, failures, conflicts = bytes+s.VerifiedBytes, failures+s.FalseAcks, conflicts+s.Collisions
	}
	c.put("nodedb_verify_last_success_timestamp_seconds", stamp(verified))
	c.put("nodedb_verify_bytes_total", float64(bytes))
	c.put("nodedb_verify_failures_total", float64(failures))
	c.put("nodedb_catalog_cas_conflicts_total", float64(conflicts))
}

func (c *scrape) store(s *archive.StoreStatus) {
	c.put("nodedb_archive_store_lsn", float64(s.Archived), s.URL)
	c.put("nodedb_archive_last_success_timestamp_seconds", stamp(s.LastSuccess), s.URL)
	c.put("nodedb_archive_queue_segments", float64(s.Queued), s.URL)
	c.put("nodedb_archive_queue_bytes", float64(s.QueuedBytes), s.URL)
	c.put("nodedb_archive_in_flight", float64(s.InFlight), s.URL)
	c.put("nodedb_archive_uploads_total", float64(s.Uploads), "ok", s.URL)
	c.put("nodedb_archive_uploads_total", float64(s.Failures), "failed", s.URL)
	c.put("nodedb_archive_upload_bytes_total", float64(s.UploadedBytes), s.URL)
	c.put("nodedb_archive_gaps_total", float64(s.Gaps), s.URL)
	c.put("nodedb_archive_gap_bytes_total", float64(s.ShedBytes), s.URL)
	c.put("nodedb_archive_circuit_state", circuits[s.Circuit], s.URL)
	c.put("nodedb_archive_missing_lsns", float64(s.Missing), s.URL)
	c.put("nodedb_archive_copied_bytes_total", float64(s.CopiedBytes), s.URL)
}

// history gives nothing before the archive was read for the first time: a window
// that is not known is not one that ends at 0.
func (c *scrape) history(st *node.Status, v *view) {
	if v.History == nil {
		return
	}
	c.put("nodedb_catalog_lag_seconds", max(c.now.Sub(v.at), 0).Seconds())
	c.put("nodedb_catalog_entries", float64(v.Entries))
	c.put("nodedb_catalog_ignored_total", float64(v.Ignored))
	c.put("nodedb_catalog_reconciled_total", float64(v.readings))
	if w, ok := newestWindow(v.Description, st); ok {
		c.put("nodedb_pitr_window_start_lsn", float64(w.From))
		c.put("nodedb_pitr_window_end_lsn", float64(w.To))
		c.put("nodedb_pitr_window_start_timestamp_seconds", stamp(w.FromTime))
		c.put("nodedb_pitr_window_end_timestamp_seconds", stamp(w.ToTime))
	}
	if d := v.Drill; d != nil {
		c.put("nodedb_restore_drill_last_success_timestamp_seconds", stamp(d.At))
		c.put("nodedb_restore_drill_duration_seconds", d.Seconds)
		c.put("nodedb_restore_drill_lsn", float64(d.LSN))
	}
}

// newestWindow is the last one of the timeline on which the node writes, or of the
// newest one that has any.
func newestWindow(d *pitr.Description, st *node.Status) (w pitr.Window, ok bool) {
	for i := range d.Timelines {
		t := &d.Timelines[i]
		if n := len(t.Windows); n > 0 && t.Timeline <= st.Timeline {
			w, ok = t.Windows[n-1], true
		}
	}
	return w, ok
}
