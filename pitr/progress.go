package pitr

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb-go/nodedb/wal"
)

// Phase is a step of a restore.
type Phase string

// The phases of a restore, in order.
const (
	PhaseBase     Phase = "base"     // files of the base are fetched
	PhaseReplay   Phase = "replay"   // segments are fetched and applied
	PhaseDigest   Phase = "digest"   // the state is read and compared
	PhaseShape    Phase = "shape"    // what is kept is copied into other vshards
	PhaseActivate Phase = "activate" // synced and put in place
	PhaseDone     Phase = "done"
)

// Progress is where a restore is.
type Progress struct {
	Phase        Phase     `json:"phase"`
	BytesFetched int64     `json:"bytes_fetched"`
	BytesTotal   int64     `json:"bytes_total"`
	Records      uint64    `json:"records"` // handed to the vshards
	RecordsTotal uint64    `json:"records_total"`
	LSN          wal.LSN   `json:"lsn"`                   // all below has been handed on
	TargetLSN    wal.LSN   `json:"target_lsn"`            //
	TimeReached  time.Time `json:"time_reached,omitzero"` // of the record at LSN
	Elapsed      float64   `json:"elapsed_seconds"`
	ETA          float64   `json:"eta_seconds"` // of what is left; negative: unknown
}

// meter counts, and reports on a goroutine of its own.
type meter struct {
	plan    atomic.Pointer[Plan]
	clock   func() time.Time
	report  func(Progress)
	begun   time.Time
	bytes   atomic.Int64
	records atomic.Uint64
	lsn     atomic.Uint64
	timeAt  atomic.Int64
	skipped struct { // done by an earlier run
		bytes   atomic.Int64
		records atomic.Uint64
	}
	reported sync.Mutex // one report at a time
	phase    atomic.Value
	stop     chan struct{}
	stopped  chan struct{}
}

func startMeter(plan *Plan, o *Options) *meter {
	m := &meter{clock: o.Clock, report: o.Progress, begun: o.Clock(),
		stop: make(chan struct{}), stopped: make(chan struct{})}
	m.plan.Store(plan)
	m.phase.Store(PhaseBase)
	go m.loop(o.ProgressInterval)
	return m
}

func (m *meter) loop(every time.Duration) {
	defer close(m.stopped)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			m.emit()
		case <-m.stop:
			return
		}
	}
}

func (m *meter) close() {
	close(m.stop)
	<-m.stopped
}

func (m *meter) enter(p Phase) {
	m.phase.Store(p)
	m.emit()
}

func (m *meter) emit() {
	m.reported.Lock()
	defer m.reported.Unlock()
	m.report(m.snapshot())
}

func (m *meter) snapshot() Progress {
	plan := m.plan.Load()
	p := Progress{
		Phase: m.phase.Load().(Phase), BytesFetched: m.bytes.Load(), BytesTotal: plan.Bytes,
		Records: m.records.Load(), RecordsTotal: plan.Records,
		LSN: wal.LSN(m.lsn.Load()), TargetLSN: plan.Reached.LSN, TimeReached: microTime(m.timeAt.Load()),
		Elapsed: m.clock().Sub(m.begun).Seconds(), ETA: -1,
	}
	// Both must be done in the end; the slower one decides. What an earlier run
	// did says nothing about this one's pace.
	bytes := eta(p.Elapsed, float64(p.BytesTotal), float64(p.BytesFetched), float64(m.skipped.bytes.Load()))
	records := eta(p.Elapsed, float64(p.RecordsTotal), float64(p.Records), float64(m.skipped.records.Load()))
	if bytes >= 0 && records >= 0 {
		p.ETA = max(bytes, records)
	}
	return p
}

// eta is how many seconds are left at the pace so far; negative: unknown.
func eta(elapsed, total, done, skipped float64) float64 {
	left, own := total-done, done-skipped
	switch {
	case left <= 0:
		return 0
	case own <= 0 || elapsed <= 0:
		return -1
	}
	return elapsed * left / own
}

// skip notes what an earlier run did: a share of the bytes, or all records up
// to lsn.
func (m *meter) skip(bytes int64, records uint64, lsn wal.LSN) {
	m.bytes.Add(bytes)
	m.skipped.bytes.Add(bytes)
	m.records.Add(records)
	m.skipped.records.Add(records)
	if lsn != 0 {
		m.lsn.Store(uint64(lsn))
	}
}

// restart counts anew for another plan.
func (m *meter) restart(p *Plan) {
	m.plan.Store(p)
	m.bytes.Store(0)
}

// handed notes that all records up to lsn went to the vshards.
func (m *meter) handed(n uint64, lsn wal.LSN, us int64) {
	m.records.Add(n)
	m.lsn.Store(uint64(lsn))
	m.timeAt.Store(us)
}
