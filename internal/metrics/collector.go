package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"wgd/conf"
)

// desc returns the description of a metric, whose labels are those of every metric of an
// interface, and more.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("wgd_"+name, help, append([]string{"interface"}, labels...), nil)
}

var (
	descBuild = prometheus.NewDesc("wgd_build_info", "The version of wgd metrics, and of Go. The value is always 1.", []string{"version", "go_version"}, nil)

	descReadable  = desc("scrape_success", "Whether the interface could be read (1) or not (0), when this metric is all there is of it.")
	descUp        = desc("interface_up", "Whether the interface is up and works (1) or not (0).")
	descFault     = desc("interface_fault", "Whether the interface is up but does not work (1), for example because its port is taken. wgd status says why.")
	descStart     = desc("start_time_seconds", "When the daemon started, in seconds since 1970.")
	descPort      = desc("listen_port", "The UDP port. 0 means none yet.")
	descMark      = desc("fwmark", "The firewall mark of outgoing datagrams. 0 means none.")
	descMTU       = desc("mtu_bytes", "The MTU of the interface.")
	descPeers     = desc("peers", "The number of peers.")
	descActive    = desc("active_peers", "The number of peers whose last handshake is not older than 180 seconds, the life of a session.")
	descRxBytes   = desc("received_bytes_total", "UDP payload of authentic messages from all peers, handshakes included.")
	descTxBytes   = desc("sent_bytes_total", "UDP payload of messages to all peers, handshakes included.")
	descRxPackets = desc("received_packets_total", "Authentic packets from all peers, keepalives included.")
	descTxPackets = desc("sent_packets_total", "Packets to all peers, keepalives included.")
	descDrops     = desc("dropped_packets_total", "Packets that were dropped, by reason. docs/operations.md explains the reasons.", "reason")
	descCounters  = desc("observed_packets_total", "Packets about which something was observed, and that were not dropped for it.", "observation")
	descDone      = desc("handshakes_total", "Handshakes that were completed, by the role of this side.", "role")
	descFailed    = desc("handshakes_failed_total", "Handshakes of this side that were given up, by reason.", "reason")
	descRefused   = desc("handshake_messages_refused_total", "Handshake messages that were refused, by their type and the reason.", "message", "reason")
	descTime      = desc("handshake_duration_seconds", "Time from an initiation of this side to its response.")
	descIdle      = desc("peer_idle_seconds", "How long ago each peer was last heard. A state, not a count: it also goes down, so use it without rate(). Peers that were never heard are missing.")
	descRoutines  = desc("goroutines", "The number of goroutines of the daemon.")
	descMemory    = desc("memory_bytes", "Memory that Go's runtime holds in the daemon.")
)

// gauges and counters are the metrics with one value for each interface.
var (
	gauges = []struct {
		desc  *prometheus.Desc
		value func(*conf.Summary) float64
	}{
		{descUp, func(s *conf.Summary) float64 { return bit(s.Up && s.Fault == "") }},
		{descFault, func(s *conf.Summary) float64 { return bit(s.Fault != "") }},
		{descStart, func(s *conf.Summary) float64 { return float64(s.Started.Unix()) }},
		{descPort, func(s *conf.Summary) float64 { return float64(s.ListenPort) }},
		{descMark, func(s *conf.Summary) float64 { return float64(s.FirewallMark) }},
		{descMTU, func(s *conf.Summary) float64 { return float64(s.MTU) }},
		{descPeers, func(s *conf.Summary) float64 { return float64(s.Peers) }},
		{descActive, func(s *conf.Summary) float64 { return float64(s.ActivePeers) }},
		{descRoutines, func(s *conf.Summary) float64 { return float64(s.Goroutines) }},
		{descMemory, func(s *conf.Summary) float64 { return float64(s.Memory) }},
	}
	counters = []struct {
		desc  *prometheus.Desc
		value func(*conf.Summary) uint64
	}{
		{descRxBytes, func(s *conf.Summary) uint64 { return s.RxBytes }},
		{descTxBytes, func(s *conf.Summary) uint64 { return s.TxBytes }},
		{descRxPackets, func(s *conf.Summary) uint64 { return s.RxPackets }},
		{descTxPackets, func(s *conf.Summary) uint64 { return s.TxPackets }},
	}
)

func bit(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// A collector collects the figures of interfaces.
type collector struct {
	interfaces func() []reading[conf.Summary]
	version    string
}

// Describe sends nothing: which metrics there are depends on the interfaces.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(descBuild, prometheus.GaugeValue, 1, c.version, runtime.Version())
	for _, r := range c.interfaces() {
		if collectSuccess(ch, &r); r.err == nil {
			collect(ch, r.name, &r.value)
		}
	}
}

func collectSuccess[T any](ch chan<- prometheus.Metric, r *reading[T]) {
	ch <- prometheus.MustNewConstMetric(descReadable, prometheus.GaugeValue, bit(r.err == nil), r.name)
}

func collect(ch chan<- prometheus.Metric, name string, s *conf.Summary) {
	count := func(desc *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), append([]string{name}, labels...)...)
	}
	for _, g := range gauges {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(s), name)
	}
	for _, c := range counters {
		count(c.desc, c.value(s))
	}
	for _, d := range s.Drops {
		count(descDrops, d.Count, d.Reason)
	}
	for _, c := range s.Counters {
		count(descCounters, c.Count, c.Name)
	}
	for _, h := range s.Handshakes {
		switch h.Outcome {
		case conf.CompletedAsInitiator:
			count(descDone, h.Count, "initiator")
		case conf.CompletedAsResponder:
			count(descDone, h.Count, "responder")
		case conf.FailedHandshake:
			count(descFailed, h.Count, h.Reason)
		case conf.RefusedInitiation:
			count(descRefused, h.Count, "initiation", h.Reason)
		case conf.RefusedResponse:
			count(descRefused, h.Count, "response", h.Reason)
		}
	}
	for desc, h := range map[*prometheus.Desc]*conf.Histogram{descTime: &s.HandshakeTime, descIdle: &s.Idle} {
		if len(h.Counts) > 0 {
			ch <- histogram(desc, h, name)
		}
	}
}

// histogram returns a histogram, in which Prometheus wants counts that include those of
// the smaller bounds.
func histogram(desc *prometheus.Desc, h *conf.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Bounds))
	total := uint64(0)
	for i, n := range h.Counts {
		if total += n; i < len(h.Bounds) {
			buckets[h.Bounds[i]] = total
		}
	}
	return prometheus.MustNewConstHistogram(desc, total, h.Sum, buckets, labels...)
}

var (
	descPeerRx        = desc("peer_received_bytes_total", "UDP payload of authentic messages from the peer, handshakes included.", "peer")
	descPeerTx        = desc("peer_sent_bytes_total", "UDP payload of messages to the peer, handshakes included.", "peer")
	descPeerHandshake = desc("peer_last_handshake_timestamp_seconds", "When the last handshake with the peer was completed, in seconds since 1970. 0 means never.", "peer")
	descPeerActive    = desc("peer_active", "Whether the last handshake with the peer is not older than 180 seconds, the life of a session (1), or not (0).", "peer")
)

// A peerCollector collects the figures of some peers, and whether the interfaces could be
// read that may have others.
type peerCollector struct {
	peers []figure
	from  []reading[[]figure]
}

// Describe sends nothing, as that of collector.
func (peerCollector) Describe(chan<- *prometheus.Desc) {}

func (c peerCollector) Collect(ch chan<- prometheus.Metric) {
	for i := range c.from {
		collectSuccess(ch, &c.from[i])
	}
	for _, f := range c.peers {
		at := 0.0
		if !f.handshake.IsZero() {
			at = float64(f.handshake.UnixMilli()) / 1000
		}
		ch <- prometheus.MustNewConstMetric(descPeerRx, prometheus.CounterValue, float64(f.rx), f.iface, f.name)
		ch <- prometheus.MustNewConstMetric(descPeerTx, prometheus.CounterValue, float64(f.tx), f.iface, f.name)
		ch <- prometheus.MustNewConstMetric(descPeerHandshake, prometheus.GaugeValue, at, f.iface, f.name)
		ch <- prometheus.MustNewConstMetric(descPeerActive, prometheus.GaugeValue, bit(f.recentlyActive), f.iface, f.name)
	}
}
