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
	plan     atomic.Pointer[Plan]
	clock    func() time.Time
	report   func(Progress)
	begun    time.Time
	bytes    atomic.Int64
	records  atomic.Uint64
	lsn      atomic.Uint64
	timeAt   atomic.Int64
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
	// Both shares must be done in the end; the slower one decides.
	done := 1.0
	if p.BytesTotal > 0 {
		done = min(done, float64(p.BytesFetched)/float64(p.BytesTotal))
	}
	if p.RecordsTotal > 0 {
		done = min(done, float64(p.Records)/float64(p.RecordsTotal))
	}
	if done > 0 && p.Elapsed > 0 {
		p.ETA = p.Elapsed/done - p.Elapsed
	}
	return p
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
