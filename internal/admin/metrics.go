package admin

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is the registry of one server. What the node counts itself is read at each
// scrape; only requests to stores are counted on the way.
type metrics struct {
	s        *Server
	registry *prometheus.Registry
	handler  http.Handler
	descs    map[string]*prometheus.Desc
	kinds    map[string]prometheus.ValueType
}

// definition is one metric that is read from the node.
type definition struct {
	name   string
	kind   prometheus.ValueType // untyped: a histogram
	labels []string
	help   string
}

const (
	gauge     = prometheus.GaugeValue
	counter   = prometheus.CounterValue
	histogram = prometheus.UntypedValue
)

func newMetrics(s *Server) *metrics {
	m := &metrics{s: s, registry: prometheus.NewPedanticRegistry(),
		descs: make(map[string]*prometheus.Desc), kinds: make(map[string]prometheus.ValueType)}
	for _, group := range [][]definition{nodeMetrics, archiveMetrics, historyMetrics, clientMetrics} {
		for _, d := range group {
			m.descs[d.name] = prometheus.NewDesc(d.name, d.help, d.labels, nil)
			m.kinds[d.name] = d.kind
		}
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o := s.opts.Meter; o != nil {
		m.registry.MustRegister(o.requests, o.attempts, o.seconds)
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: nil, MaxRequestsInFlight: 4})
	return m
}

func (m *metrics) serve(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		ch <- d
	}
}

// scrape is one reading of everything.
type scrape struct {
	m   *metrics
	ch  chan<- prometheus.Metric
	now time.Time
}

// put gives one value. A name that is not defined, or other labels than defined, is
// a mistake of this package.
func (c *scrape) put(name string, value float64, labels ...string) {
	c.ch <- prometheus.MustNewConstMetric(c.m.descs[name], c.m.kinds[name], value, labels...)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	c := &scrape{m, ch, m.s.opts.Clock()}
	c.put("nodedb_build_info", 1, m.s.opts.Version)
	c.put("nodedb_ready", truth(m.s.health().OK))
	n := m.s.node.Load()
	if n == nil {
		return
	}
	st := n.Status()
	c.node(&st)
	c.cores(&st)
	c.log(&st)
	c.archive(&st)
	v, _ := m.s.history.look(st.Watermarks.Archived, historyAgeMin)
	c.history(&st, &v)
	if f := m.s.opts.Clients; f != nil {
		c.clients(f())
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stamp is a time as Prometheus has it; 0 for never.
func stamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

func (c *scrape) clients(s ClientStats) {
	c.put("nodedb_redis_clients", float64(s.Clients))
	c.put("nodedb_redis_clients_max", float64(s.ClientsMax))
	c.put("nodedb_redis_connections_total", float64(s.Connections))
	c.put("nodedb_redis_connections_refused_total", float64(s.Refused))
	c.put("nodedb_redis_commands_total", float64(s.Commands))
	c.put("nodedb_redis_errors_total", float64(s.Errors))
	c.put("nodedb_redis_received_bytes_total", float64(s.BytesIn))
	c.put("nodedb_redis_sent_bytes_total", float64(s.BytesOut))
}
