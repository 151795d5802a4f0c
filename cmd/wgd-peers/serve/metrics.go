package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsPath is where the metrics are.
const MetricsPath = "/metrics"

// Metrics returns what serves the figures of all interfaces to Prometheus. Their number does
// not depend on that of the peers.
func (s *Server) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s})
	mux := http.NewServeMux()
	mux.Handle("GET "+MetricsPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8}))
	return mux
}

type collector struct{ server *Server }

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("wgd_peers_"+name, help, labels, nil)
}

var (
	metricConnected  = metric("connected", "Whether the daemon of the interface works.", "interface")
	metricHeld       = metric("held", "Peers of the store that the interface has.", "interface")
	metricWaiting    = metric("waiting_look_ups", "Look-ups that are not done.", "interface")
	metricWants      = metric("wants_total", "What arrived for peers that the interface did not have, by kind.", "interface", "kind")
	metricMissed     = metric("wants_missed_total", "Packets and messages for which the daemon reported no want because there were too many; at most so many wants were missed.", "interface")
	metricRefused    = metric("refused_total", "Wants that were refused, by reason.", "interface", "reason")
	metricLent       = metric("lent_total", "Peers that the interface was given.", "interface")
	metricRemoved    = metric("removed_total", "Peers that were removed because they are revoked, deleted or cannot be used.", "interface")
	metricCalled     = metric("called_total", "Handshakes that were initiated because of data for nobody's session.", "interface")
	metricAnswered   = metric("answer_seconds", "Time from a want until the daemon has the peer.", "interface")
	metricLookUps    = metric("look_up_seconds", "Time of look-ups in the store that did not fail.")
	metricFailed     = metric("look_ups_failed_total", "Look-ups in the store that failed.")
	metricStoreUp    = metric("store_up", "Whether the last use of the store did not fail.")
	metricBehind     = metric("clock_behind_seconds", "How far the clock of this computer is behind that of another gateway.")
	metricUnrecorded = metric("unrecorded", "Peers of which it is not written to the store yet where they were seen.")
)

func (c collector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

func (c collector) Collect(to chan<- prometheus.Metric) {
	value := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, i := range c.server.interfaces {
		i.collect(value, to)
	}
	s := c.server
	s.records.mu.Lock()
	value(metricUnrecorded, prometheus.GaugeValue, float64(len(s.records.pending)))
	s.records.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	value(metricFailed, prometheus.CounterValue, float64(s.failed))
	value(metricStoreUp, prometheus.GaugeValue, truth(s.failing.IsZero()))
	value(metricBehind, prometheus.GaugeValue, s.behind.Seconds())
	to <- s.lookups.metric(metricLookUps)
}

func (s *served) collect(value func(*prometheus.Desc, prometheus.ValueType, float64, ...string), to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value(metricConnected, prometheus.GaugeValue, truth(!s.connected.IsZero()), s.name)
	value(metricHeld, prometheus.GaugeValue, float64(len(s.held)), s.name)
	value(metricWaiting, prometheus.GaugeValue, float64(len(s.tasks.all)+len(s.tasks.idle)), s.name)
	value(metricMissed, prometheus.CounterValue, float64(s.figures.missed), s.name)
	value(metricLent, prometheus.CounterValue, float64(s.figures.lent), s.name)
	value(metricRemoved, prometheus.CounterValue, float64(s.figures.removed), s.name)
	value(metricCalled, prometheus.CounterValue, float64(s.figures.called), s.name)
	for kind, n := range s.figures.wants {
		value(metricWants, prometheus.CounterValue, float64(n), s.name, string(kind))
	}
	for _, reason := range reasons {
		value(metricRefused, prometheus.CounterValue, float64(s.figures.refused[reason]), s.name, string(reason))
	}
	to <- s.figures.answered.metric(metricAnswered, s.name)
}

// metric returns the durations as a histogram. It has each second bucket.
func (t *times) metric(d *prometheus.Desc, labels ...string) prometheus.Metric {
	buckets := map[float64]uint64{}
	total := uint64(0)
	for i, n := range t.buckets {
		total += n
		if i%2 == 1 && i < timeBuckets-1 && i > 5 {
			buckets[bound(i).Seconds()] = total
		}
	}
	return prometheus.MustNewConstHistogram(d, total, t.sum.Seconds(), buckets, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
