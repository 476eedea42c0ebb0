package node

import (
	"time"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/tpc"
	"github.com/nodedb-go/nodedb/wal"
)

// Status is what a node says of itself. Its parts are read one after another,
// not at one instant.
type Status struct {
	NodeID   string       `json:"node_id"`
	Dir      string       `json:"dir"`
	Timeline wal.Timeline `json:"timeline"`
	Epoch    wal.Epoch    `json:"epoch,omitzero"`
	VShards  int          `json:"vshards"`
	Writable bool         `json:"writable"`
	Reason   string       `json:"reason,omitempty"` // why not writable

	// Updates counts the updates that have ended since Open, failed ones too, by the
	// time from the call that submitted them until their end was told, with pauses
	// for a store that is behind; what one Starter sends together is taken to begin
	// with the first. It goes on when the caller has left. What no core has taken is
	// not among them: it was refused at once. [Options.Clock] measures.
	Updates Durations `json:"update_micros"`

	Watermarks  Watermarks              `json:"watermarks"`
	Log         LogStatus               `json:"log"`
	Cores       []CoreStatus            `json:"cores"`
	Shards      []ShardStatus           `json:"shards"`
	Checkpoints CheckpointStatus        `json:"checkpoints"`
	Recovery    Recovery                `json:"recovery"`
	Archive     *archive.ArchiverStatus `json:"archive,omitempty"`
	Bases       *BaseStatus             `json:"bases,omitempty"`
	Lag         *ArchiveLag             `json:"archive_lag,omitempty"`
}

// Watermarks are the LSNs that order a node's life.
// Invariant: Checkpointed ≤ Applied ≤ Durable ≤ Appended and Archived ≤ Durable.
type Watermarks struct {
	Truncated    wal.LSN `json:"truncated_lsn"`
	Checkpointed wal.LSN `json:"checkpointed_lsn"`
	Applied      wal.LSN `json:"applied_lsn"` // the highest that any vshard applied
	Durable      wal.LSN `json:"durable_lsn"`
	Appended     wal.LSN `json:"appended_lsn"`
	Archived     wal.LSN `json:"archived_lsn"`
}

// LogStatus describes the local log.
type LogStatus struct {
	Segments int       `json:"segments"`
	Bytes    int64     `json:"bytes"`
	Oldest   time.Time `json:"oldest"` // time of the first record kept
	Stats    wal.Stats `json:"stats"`
}

// CoreStatus describes one core.
type CoreStatus struct {
	ID       int             `json:"id"`
	Degraded bool            `json:"degraded"`
	VShards  []uint16        `json:"vshards"`
	Metrics  tpc.CoreMetrics `json:"metrics"`
}

// ShardStatus describes one vshard.
type ShardStatus struct {
	ID      uint16       `json:"id"`
	Core    int          `json:"core"`
	State   string       `json:"state"` // serving, rebuilding or quarantined
	Reason  string       `json:"reason,omitempty"`
	Applied wal.LSN      `json:"applied_lsn"`
	Stats   engine.Stats `json:"stats"`
}

// Status describes the node.
func (n *Node) Status() Status {
	s := Status{
		NodeID: n.meta.NodeID, Dir: n.dir, Timeline: n.meta.Timeline, Epoch: n.epoch.Epoch, VShards: len(n.shards),
		Checkpoints: n.checkpoints.status(), Recovery: n.recovery, Log: n.logStatus(),
	}
	if err := n.admit(); err != nil {
		s.Reason = err.Error()
	}
	s.Writable = s.Reason == ""
	for _, c := range n.cores {
		cs := CoreStatus{ID: c.id, Degraded: c.tpc.Degraded(), Metrics: c.tpc.Metrics()}
		for _, sh := range c.shards {
			cs.VShards = append(cs.VShards, sh.id)
		}
		s.Cores = append(s.Cores, cs)
		c.times.AddTo(&s.Updates)
	}
	for _, sh := range n.shards {
		s.Shards = append(s.Shards, sh.status())
	}
	s.Watermarks = n.watermarksNow()
	if n.archiver != nil {
		a, b := n.archiver.Status(), n.bases.status()
		lag := n.archiveLag(s.Watermarks)
		s.Archive, s.Bases, s.Lag = &a, &b, &lag
	}
	return s
}

func (n *Node) watermarksNow() Watermarks {
	_, applied := n.appliedRange()
	w := Watermarks{
		Truncated:    wal.LSN(n.watermarks.truncated.Load()),
		Checkpointed: wal.LSN(n.watermarks.checkpointed.Load()),
		Applied:      applied,
	}
	if n.archiver != nil {
		w.Archived = n.archiver.Archived()
	}
	// In this order, so that the invariant holds in what was read.
	w.Durable = n.log.Durable()
	w.Appended = n.log.Appended()
	return w
}

func (n *Node) logStatus() LogStatus {
	segments := n.log.Segments()
	l := LogStatus{Segments: len(segments), Stats: n.log.Stats()}
	for i := range segments {
		l.Bytes += segments[i].Bytes
		if l.Oldest.IsZero() && segments[i].Records > 0 {
			l.Oldest = time.UnixMicro(segments[i].FirstTime).UTC()
		}
	}
	return l
}

func (s *shard) status() ShardStatus {
	st := ShardStatus{ID: s.id, Core: s.core.id, State: "serving", Applied: s.v.Applied()}
	switch s.state.Load() {
	case shardRebuilding:
		st.State, st.Reason = "rebuilding", s.reason().Error()
	case shardQuarantined:
		st.State, st.Reason = "quarantined", s.reason().Error()
	default:
		// A store that cannot say how large it is still serves.
		st.Stats, _ = s.v.Stats()
	}
	return st
}

// Recovery is what Open did.
func (n *Node) Recovery() Recovery { return n.recovery }
