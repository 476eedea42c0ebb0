package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb-go/nodedb/node"
)

func (c *scrape) node(st *node.Status) {
	m := &st.Watermarks
	c.put("nodedb_writable", truth(st.Writable))
	c.put("nodedb_durable_lsn", float64(m.Durable))
	c.put("nodedb_appended_lsn", float64(m.Appended))
	c.put("nodedb_applied_lsn", float64(m.Applied))
	c.put("nodedb_checkpointed_lsn", float64(m.Checkpointed))
	c.put("nodedb_truncated_lsn", float64(m.Truncated))
	c.put("nodedb_recovery_records", float64(st.Recovery.Records))
	c.put("nodedb_recovery_duration_seconds", st.Recovery.Duration.Seconds())
	c.durations("nodedb_update_duration_seconds", &st.Updates)
	c.shards(st.Shards)
	k := &st.Checkpoints
	c.put("nodedb_checkpoints_total", float64(k.Taken), "ok")
	c.put("nodedb_checkpoints_total", float64(k.Failed), "failed")
	c.put("nodedb_checkpoints_failed_in_a_row", float64(k.InARow))
	c.put("nodedb_checkpoint_last_success_timestamp_seconds", stamp(k.LastTime))
	c.put("nodedb_checkpoint_duration_seconds", k.Last.Duration.Seconds())
	if b := st.Bases; b != nil {
		c.put("nodedb_bases_total", float64(b.Taken), "ok")
		c.put("nodedb_bases_total", float64(b.Failed), "failed")
		c.put("nodedb_base_last_success_timestamp_seconds", stamp(b.LastTime))
	}
}

func (c *scrape) shards(shards []node.ShardStatus) {
	states := map[string]int{"serving": 0, "rebuilding": 0, "quarantined": 0}
	var disk, memory uint64
	var compacting int64
	amp := 0
	for i := range shards {
		s := &shards[i]
		states[s.State]++
		disk += s.Stats.DiskBytes
		memory += s.Stats.MemoryBytes
		compacting += s.Stats.Compacting
		amp = max(amp, s.Stats.ReadAmp)
	}
	for state, n := range states {
		c.put("nodedb_vshards", float64(n), state)
	}
	c.put("nodedb_table_bytes", float64(disk))
	c.put("nodedb_memtable_bytes", float64(memory))
	c.put("nodedb_compactions_running", float64(compacting))
	c.put("nodedb_read_amplification", float64(amp))
}

func (c *scrape) cores(st *node.Status) {
	for i := range st.Cores {
		m, core := &st.Cores[i].Metrics, strconv.Itoa(st.Cores[i].ID)
		c.put("nodedb_core_tasks_total", float64(m.Tasks), core)
		c.put("nodedb_core_panics_total", float64(m.Panics), core)
		c.put("nodedb_core_expired_total", float64(m.Expired), core)
		c.put("nodedb_core_cancelled_total", float64(m.Cancelled), core)
		c.put("nodedb_core_refused_total", float64(m.Refused), core)
		c.put("nodedb_core_rejected_total", float64(m.Rejected), core)
		c.put("nodedb_core_queue_depth", float64(m.Depth), core)
		c.put("nodedb_core_queue_depth_max", float64(m.DepthMax), core)
		c.put("nodedb_core_busy_seconds_total", m.Busy.Seconds(), core)
		c.put("nodedb_core_idle_seconds_total", m.Idle.Seconds(), core)
		c.put("nodedb_core_degraded", truth(st.Cores[i].Degraded), core)
	}
}

func (c *scrape) log(st *node.Status) {
	l, s := &st.Log, &st.Log.Stats
	c.put("nodedb_wal_segments", float64(l.Segments))
	c.put("nodedb_wal_size_bytes", float64(l.Bytes))
	c.put("nodedb_wal_oldest_timestamp_seconds", stamp(l.Oldest))
	c.put("nodedb_wal_records_total", float64(s.Records))
	c.put("nodedb_wal_written_bytes_total", float64(s.Bytes))
	c.put("nodedb_wal_group_commits_total", float64(s.Groups))
	c.put("nodedb_wal_syncs_total", float64(s.Syncs))
	c.put("nodedb_wal_seals_total", float64(s.Seals))
	c.put("nodedb_wal_waits_total", float64(s.Waits))
	c.put("nodedb_wal_disk_full_total", float64(s.DiskFull))
	c.durations("nodedb_wal_commit_duration_seconds", &s.SyncMicros)
}

// durations gives the buckets as Prometheus has them: cumulative, in seconds. Nobody
// keeps a sum; the middle of each bucket stands for what is in it.
func (c *scrape) durations(name string, d *node.Durations) {
	count, sum, buckets := uint64(0), 0.0, make(map[float64]uint64, len(d)-1)
	for i, n := range d {
		count += n
		limit := float64(uint64(1)<<i) / 1e6
		sum += float64(n) * limit * 3 / 4
		if i < len(d)-1 {
			buckets[limit] = count
		}
	}
	c.ch <- prometheus.MustNewConstHistogram(c.m.descs[name], count, sum, buckets)
}
