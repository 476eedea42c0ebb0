package admin

import (
	"context"
	"errors"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/pitr"
)

// values are the sums of all series of each name.
func (r *rig) values() map[string]float64 {
	r.t.Helper()
	families, err := r.metrics.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			name := f.GetName()
			out[name] += v
			for _, l := range m.GetLabel() {
				out[name+"{"+l.GetName()+"="+l.GetValue()+"}"] += v
			}
		}
	}
	return out
}

// moved runs step and wants each metric to have another value after it.
func (r *rig) moved(what string, step func(), names ...string) {
	r.t.Helper()
	before := r.values()
	step()
	after := r.values()
	for _, n := range names {
		if before[n] == after[n] {
			r.t.Errorf("%s does not move %s: %g", what, n, after[n])
		}
	}
}

func TestMetricsMove(t *testing.T) {
	r := newRig(t, Options{}, node.Options{})
	ctx := t.Context()
	if _, done := r.history.look(0, historyAgeMin); done != nil {
		<-done // nothing is there yet
	}
	r.moved("a write", func() { r.put("k") },
		"nodedb_durable_lsn", "nodedb_appended_lsn", "nodedb_applied_lsn", "nodedb_core_tasks_total", "nodedb_update_duration_seconds",
		"nodedb_wal_records_total", "nodedb_wal_written_bytes_total", "nodedb_wal_group_commits_total", "nodedb_wal_syncs_total",
		"nodedb_wal_commit_duration_seconds", "nodedb_archive_lag_bytes", "nodedb_archive_lag_lsns", "nodedb_archive_lag_seconds")
	r.moved("a seal", r.archived,
		"nodedb_wal_seals_total", "nodedb_archive_last_lsn", "nodedb_archive_store_lsn", "nodedb_archive_lag_bytes", "nodedb_archive_lag_lsns", "nodedb_archive_lag_seconds",
		"nodedb_archive_uploads_total{result=ok}", "nodedb_archive_upload_bytes_total", "nodedb_archive_last_success_timestamp_seconds",
		"nodedb_archive_upload_duration_seconds", "nodedb_archive_attempts_total{code=ok}", "nodedb_object_requests_total{op=create}",
		"nodedb_verify_bytes_total", "nodedb_verify_last_success_timestamp_seconds")
	r.moved("a checkpoint", func() {
		if _, err := r.node.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}, "nodedb_checkpoints_total{result=ok}", "nodedb_checkpointed_lsn", "nodedb_checkpoint_last_success_timestamp_seconds", "nodedb_checkpoint_duration_seconds", "nodedb_table_bytes")
	const busy = "nodedb_core_busy_seconds_total"
	r.moved("work", func() {
		// A core adds up its time before it sleeps, a moment after it has answered.
		for before := r.values()[busy]; r.values()[busy] == before && ctx.Err() == nil; {
			r.put("k")
		}
	}, busy)
	r.moved("a base", func() {
		if _, err := r.node.Backup(ctx); err != nil {
			t.Fatal(err)
		}
	}, "nodedb_bases_total{result=ok}", "nodedb_base_last_success_timestamp_seconds")
	r.moved("a reading of the archive", func() {
		r.ahead.Add(int64(2 * historyAgeMin))
		if _, done := r.history.look(1<<20, historyAgeMin); done != nil {
			<-done
		}
	}, "nodedb_pitr_window_start_lsn", "nodedb_pitr_window_end_lsn", "nodedb_pitr_window_start_timestamp_seconds", "nodedb_pitr_window_end_timestamp_seconds",
		"nodedb_catalog_reconciled_total", "nodedb_catalog_lag_seconds")
	r.moved("a checkpoint that fails", func() {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := r.node.Checkpoint(ended); err == nil {
			t.Fatal("a checkpoint with an ended context")
		}
	}, "nodedb_checkpoints_total{result=failed}", "nodedb_checkpoints_failed_in_a_row")
	r.moved("an update that panics", func() {
		_, err := r.node.Tenant(0).Update(ctx, []byte("k"), nil, func(*node.Tx) error { panic("by a test") })
		if err == nil {
			t.Fatal("it did not panic")
		}
	}, "nodedb_core_panics_total", "nodedb_update_duration_seconds")
}

// A store that is down, a budget that is used up, and the way out.
func TestMetricsOfTrouble(t *testing.T) {
	r := newRig(t, Options{}, node.Options{WALBudget: 1, OnArchiveStall: archive.Block})
	r.moved("a store that is down", func() {
		r.store.SetPlan(archivetest.Always(archivetest.Fail))
		r.put("k")
		if _, err := r.node.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		for r.node.Status().Archive.Stores[0].Circuit == "closed" && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}, "nodedb_writable", "nodedb_ready", "nodedb_archive_paused", "nodedb_archive_backpressure_ratio", "nodedb_archive_queue_segments", "nodedb_archive_queue_bytes",
		"nodedb_archive_uploads_total{result=failed}", "nodedb_archive_circuit_state")
	r.moved("the store that is back", func() {
		r.store.SetPlan(archivetest.Healthy)
		r.archived()
	}, "nodedb_writable", "nodedb_ready", "nodedb_archive_paused", "nodedb_archive_queue_segments", "nodedb_archive_circuit_state")
}

// fill sets every number, text and flag of a value, so that no two numbers are equal.
func fill(v reflect.Value, next *int64) {
	*next++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1e9+*next, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), next)
			} else {
				fill(reflect.NewAt(v.Field(i).Type(), v.Field(i).Addr().UnsafePointer()).Elem(), next)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), next)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), next)
		}
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(*next * 1e6)
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(*next))
	case reflect.Float64:
		v.SetFloat(float64(*next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("open")
	default:
	}
}

// Every metric is read from the field that it is of: each is there, none is 0, and
// none shows what another shows.
func TestMetricsReadTheirFields(t *testing.T) {
	s := New(Options{})
	ch := make(chan prometheus.Metric, 1000)
	c := &scrape{s.metrics, ch, time.Unix(2e9, 0)}
	next := int64(0)
	var st node.Status
	var h History
	var cl ClientStats
	fill(reflect.ValueOf(&st).Elem(), &next)
	fill(reflect.ValueOf(&h).Elem(), &next)
	fill(reflect.ValueOf(&cl).Elem(), &next)
	st.Timeline = h.Description.Timelines[0].Timeline
	c.node(&st)
	c.cores(&st)
	c.log(&st)
	c.archive(&st)
	c.history(&st, &view{History: &h, at: time.Unix(1e9, 0), readings: 77})
	c.clients(cl)
	close(ch)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(given{s.metrics, ch})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byValue, seen := map[float64]string{}, map[string]bool{"nodedb_build_info": true, "nodedb_ready": true}
	for _, f := range families {
		seen[f.GetName()] = true
		for _, m := range f.GetMetric() {
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if other, taken := byValue[v]; taken && v > 2 {
				t.Errorf("%s shows what %s shows: %g", f.GetName(), other, v)
			}
			byValue[v] = f.GetName()
			if v == 0 && !slices.Contains([]string{"nodedb_vshards", "nodedb_writable"}, f.GetName()) {
				t.Errorf("%s is 0", f.GetName())
			}
		}
	}
	for name := range s.metrics.descs {
		if !seen[name] {
			t.Errorf("%s is never given", name)
		}
	}
}

// given is a collector of what was collected.
type given struct {
	*metrics
	ch <-chan prometheus.Metric
}

func (g given) Collect(ch chan<- prometheus.Metric) {
	for m := range g.ch {
		ch <- m
	}
}

var docRow = regexp.MustCompile("(?m)^\\| `(nodedb_[a-z0-9_]+)` \\|")

// The manual lists the metrics that there are.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/admin.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range docRow.FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	want := []string{"nodedb_archive_attempts_total", "nodedb_archive_upload_duration_seconds", "nodedb_object_requests_total"}
	for name := range New(Options{}).metrics.descs {
		want = append(want, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/admin.md (-registry +manual):\n%s", diff)
	}
}

// Nothing is read from the archive while nothing changes there, however often
// somebody asks.
func TestHistoryIsReadWhenItMoved(t *testing.T) {
	r := newRig(t, Options{}, node.Options{})
	reads := 0
	r.opts.History = func(context.Context) (*History, error) {
		if reads++; reads == 3 {
			return nil, errors.New("down")
		}
		return &History{Description: &pitr.Description{}}, nil
	}
	look := func() view {
		v, done := r.history.look(5, historyAgeMin)
		if done != nil {
			<-done
			v, _ = r.history.look(5, historyAgeMin)
		}
		return v
	}
	look()
	if look(); reads != 1 {
		t.Errorf("%d readings, want 1", reads)
	}
	r.ahead.Add(int64(2 * historyAgeMin))
	if look(); reads != 1 {
		t.Errorf("%d readings of an idle archive, want 1", reads)
	}
	r.history.upTo = 4
	if look(); reads != 2 {
		t.Errorf("%d readings after the archive moved, want 2", reads)
	}
	r.ahead.Add(int64(2 * historyAgeMax))
	if v := look(); reads != 3 || v.err == nil || v.History == nil || !strings.Contains(v.err.Error(), "down") {
		t.Errorf("%d readings, %+v: want the view of before, and the error", reads, v)
	}
}
