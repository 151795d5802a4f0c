package uapi

import (
	"bufio"
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
)

// summaryRows are the keys of the answer to summary=1. Only answer and read of each row
// are used.
var summaryRows = []row[struct{}, conf.Summary]{
	{name: "started", value: "seconds since 1970", meaning: "when the daemon started",
		answer: func(o *out, name string, s *conf.Summary) { o.number(name, uint64(max(0, s.Started.Unix()))) },
		read: func(s *conf.Summary, name string, value []byte) error {
			var seconds uint32
			err := parseInto(&seconds, name, value)
			s.Started = time.Unix(int64(seconds), 0)
			return err
		}},
	{name: "up", value: "0 or 1", meaning: "whether the interface is up",
		answer: func(o *out, name string, s *conf.Summary) { o.bit(name, s.Up) },
		read: func(s *conf.Summary, _ string, value []byte) error {
			s.Up = string(value) == "1"
			return nil
		}},
	{name: "fault", value: "a sentence", meaning: "why the interface is up but does not work",
		answer: func(o *out, name string, s *conf.Summary) {
			if s.Fault != "" {
				o.text(name, sentence(s.Fault))
			}
		},
		read: func(s *conf.Summary, _ string, value []byte) error {
			s.Fault = sentence(string(value))
			return nil
		}},
	figure("listen_port", "the UDP port", func(s *conf.Summary) *uint16 { return &s.ListenPort }),
	figure("fwmark", "the mark of all outgoing datagrams", func(s *conf.Summary) *uint32 { return &s.FirewallMark }),
	number("mtu", "the MTU of the interface", func(s *conf.Summary) *int { return &s.MTU }),
	number("peers", "how many peers there are", func(s *conf.Summary) *int { return &s.Peers }),
	number("active_peers", "how many of them had a handshake in the last 180 seconds", func(s *conf.Summary) *int { return &s.ActivePeers }),
	figure("rx_bytes", "UDP payload of authentic messages received", func(s *conf.Summary) *uint64 { return &s.RxBytes }),
	figure("tx_bytes", "UDP payload of messages sent", func(s *conf.Summary) *uint64 { return &s.TxBytes }),
	figure("rx_packets", "packets received, and keepalives", func(s *conf.Summary) *uint64 { return &s.RxPackets }),
	figure("tx_packets", "packets sent, and keepalives", func(s *conf.Summary) *uint64 { return &s.TxPackets }),
	number("goroutines", "how many goroutines the daemon has", func(s *conf.Summary) *int { return &s.Goroutines }),
	figure("memory", "bytes of memory that Go's runtime holds in the daemon", func(s *conf.Summary) *uint64 { return &s.Memory }),
	{name: "drop", value: "REASON:COUNT", meaning: "how many packets were dropped for a reason, also if none were; a line for each reason",
		answer: func(o *out, name string, s *conf.Summary) {
			for _, d := range s.Drops {
				o.counted(name, d.Reason, d.Count)
			}
		},
		read: func(s *conf.Summary, name string, value []byte) error {
			reason, n, err := parseCounted(name, value)
			s.Drops = append(s.Drops, conf.Drop{Reason: reason, Count: n})
			return err
		}},
	{name: "counter", value: "NAME:COUNT", meaning: "another observation about packets; a line for each",
		answer: func(o *out, name string, s *conf.Summary) {
			for _, c := range s.Counters {
				o.counted(name, c.Name, c.Count)
			}
		},
		read: func(s *conf.Summary, name string, value []byte) error {
			what, n, err := parseCounted(name, value)
			s.Counters = append(s.Counters, conf.Counter{Name: what, Count: n})
			return err
		}},
	{name: "handshake", value: "OUTCOME[ REASON]:COUNT", meaning: "how many handshakes, or messages of them, had that outcome; a line for each",
		answer: func(o *out, name string, s *conf.Summary) {
			for _, h := range s.Handshakes {
				what := string(h.Outcome)
				if h.Reason != "" {
					what += " " + h.Reason
				}
				o.counted(name, what, h.Count)
			}
		},
		read: func(s *conf.Summary, name string, value []byte) error {
			what, n, err := parseCounted(name, value)
			outcome, reason, _ := strings.Cut(what, " ")
			s.Handshakes = append(s.Handshakes, conf.HandshakeCount{Outcome: conf.HandshakeOutcome(outcome), Reason: reason, Count: n})
			return err
		}},
	distribution("handshake_time", "seconds from an initiation of ours to its response", func(s *conf.Summary) *conf.Histogram { return &s.HandshakeTime }),
	distribution("idle", "seconds since each peer was last heard", func(s *conf.Summary) *conf.Histogram { return &s.Idle }),
}

// summaryKeys are summaryRows by name.
var summaryKeys = byName(summaryRows)

// figure is the row of an unsigned number.
func figure[T uint16 | uint32 | uint64](name, meaning string, field func(*conf.Summary) *T) row[struct{}, conf.Summary] {
	return row[struct{}, conf.Summary]{name: name, value: "a number", meaning: meaning,
		answer: func(o *out, name string, s *conf.Summary) { o.number(name, uint64(*field(s))) },
		read:   func(s *conf.Summary, name string, value []byte) error { return parseInto(field(s), name, value) },
	}
}

// number is the row of an int that is not negative.
func number(name, meaning string, field func(*conf.Summary) *int) row[struct{}, conf.Summary] {
	return row[struct{}, conf.Summary]{name: name, value: "a number", meaning: meaning,
		answer: func(o *out, name string, s *conf.Summary) { o.number(name, uint64(max(0, *field(s)))) },
		read: func(s *conf.Summary, name string, value []byte) error {
			var n uint32
			err := parseInto(&n, name, value)
			*field(s) = int(min(n, math.MaxInt32))
			return err
		},
	}
}

// distribution is the row of a histogram.
func distribution(name, meaning string, field func(*conf.Summary) *conf.Histogram) row[struct{}, conf.Summary] {
	return row[struct{}, conf.Summary]{name: name, value: "BOUND:COUNT ... +Inf:COUNT sum:SUM",
		meaning: meaning + ": how many values were BOUND or less, but greater than the bound before, and the sum of all",
		answer: func(o *out, name string, s *conf.Summary) {
			h := field(s)
			if len(h.Counts) != len(h.Bounds)+1 {
				return
			}
			b := o.scratch[:0]
			for i, n := range h.Counts {
				bound := math.Inf(1)
				if i < len(h.Bounds) {
					bound = h.Bounds[i]
				}
				b = strconv.AppendFloat(b, bound, 'g', -1, 64)
				b = strconv.AppendUint(append(b, ':'), n, 10)
				b = append(b, ' ')
			}
			o.scratch = strconv.AppendFloat(append(b, "sum:"...), h.Sum, 'g', -1, 64)
			o.bytes(name, o.scratch)
		},
		read: func(s *conf.Summary, name string, value []byte) (err error) {
			*field(s), err = parseHistogram(name, value)
			return err
		},
	}
}

// maxBounds is how many bounds of a histogram are accepted.
const maxBounds = 100

// parseHistogram reads what distribution writes.
func parseHistogram(name string, value []byte) (h conf.Histogram, err error) {
	refused := invalid.Errorf("%s: %s: not a histogram", name, quote.Text(string(value)))
	words := bytes.Fields(value)
	if len(words) < 2 || len(words) > maxBounds+2 {
		return h, refused
	}
	last := math.Inf(-1)
	for i, word := range words {
		label, number, _ := strings.Cut(string(word), ":")
		if i == len(words)-1 {
			h.Sum, err = strconv.ParseFloat(number, 64)
			if label != "sum" || err != nil || math.IsNaN(h.Sum) || math.IsInf(h.Sum, 0) {
				return conf.Histogram{}, refused
			}
			return h, nil
		}
		bound, err := strconv.ParseFloat(label, 64)
		n, bad := strconv.ParseUint(number, 10, 64)
		isLast := i == len(words)-2
		if err != nil || bad != nil || !(bound > last) || math.IsInf(bound, 1) != isLast {
			return conf.Histogram{}, refused
		}
		last = bound
		h.Counts = append(h.Counts, n)
		if !isLast {
			h.Bounds = append(h.Bounds, bound)
		}
	}
	return conf.Histogram{}, refused
}

// WriteSummary answers summary=1.
func WriteSummary(w *bufio.Writer, s *conf.Summary) error {
	o := &out{Writer: w}
	for i := range summaryRows {
		summaryRows[i].answer(o, summaryRows[i].name, s)
	}
	o.WriteString("errno=0\n\n")
	return o.Flush()
}

// WriteSummaryRequest requests a summary.
func WriteSummaryRequest(w *bufio.Writer) error {
	w.WriteString("summary=1\n\n")
	return w.Flush()
}

// Summary reads the answer to summary=1. It ignores keys that it does not know.
func (r *Reader) Summary() (conf.Summary, error) {
	var s conf.Summary
	err := r.answer(func(name, value []byte) error {
		if row := summaryKeys[string(name)]; row != nil {
			return row.read(&s, row.name, value)
		}
		return nil
	})
	if err != nil {
		return conf.Summary{}, err
	}
	return s, nil
}
