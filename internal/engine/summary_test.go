package engine

import (
	"errors"
	"math"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/core"
)

// handshakes returns the count of an outcome.
func handshakes(s *conf.Summary, outcome conf.HandshakeOutcome, reason string) uint64 {
	for _, h := range s.Handshakes {
		if h.Outcome == outcome && h.Reason == reason {
			return h.Count
		}
	}
	return math.MaxUint64
}

func total(h *conf.Histogram) (n uint64) {
	for _, count := range h.Counts {
		n += count
	}
	return n
}

// The summary agrees with the status, and with what was sent. The bytes of peers that are
// removed remain in it.
func TestSummary(t *testing.T) {
	_, a, b := pair(t)
	before := a.Summary()
	if before.Peers != 1 || before.ActivePeers != 0 || before.TxPackets != 0 || total(&before.Idle) != 0 || before.Name != a.Status().Name ||
		!before.Up || before.ListenPort != a.Status().ListenPort || before.MTU != a.Status().MTU || before.Started.IsZero() {
		t.Errorf("before the first packet: %+v", before)
	}
	const n = 20
	a.deliver(b, "hello")
	for range n {
		b.deliver(a, "data")
	}
	eventually(t, "the summaries say what was sent", func() bool {
		from, to := a.Summary(), b.Summary()
		atA, atB := a.status(b), b.status(a)
		return from.RxBytes == atA.RxBytes && from.TxBytes == atA.TxBytes && to.RxBytes == atB.RxBytes && to.TxBytes == atB.TxBytes &&
			from.RxPackets == n && from.TxPackets == to.RxPackets && to.TxPackets == n && to.RxPackets >= 1 &&
			from.ActivePeers == 1 && to.ActivePeers == 1 && total(&from.Idle) == 1 && from.Idle.Counts[0] == 1 &&
			handshakes(&from, conf.CompletedAsInitiator, "") == 1 && handshakes(&from, conf.CompletedAsResponder, "") == 0 &&
			handshakes(&to, conf.CompletedAsInitiator, "") == 0 && handshakes(&to, conf.CompletedAsResponder, "") == 1 &&
			total(&from.HandshakeTime) == 1 && from.HandshakeTime.Sum > 0 && total(&to.HandshakeTime) == 0
	})
	last := a.Summary()
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}})
	if s := a.Summary(); s.Peers != 0 || s.ActivePeers != 0 || s.RxBytes != last.RxBytes || s.TxBytes != last.TxBytes || total(&s.Idle) != 0 {
		t.Errorf("after the peer was removed: %+v, before: %+v", s, last)
	}
	a.inject(b, "nobody has this address")
	eventually(t, "the drop is in the summary", func() bool {
		for _, d := range a.Summary().Drops {
			if d.Reason == "no-peer" {
				return d.Count == 1
			}
		}
		return false
	})
}

// A summary has a fault, as a status has.
func TestSummaryOfFault(t *testing.T) {
	_, a, _ := pair(t)
	a.setState(true, errors.New("the port is taken").Error())
	if s := a.Summary(); !s.Up || s.Fault != "the port is taken" {
		t.Errorf("%v, %q", s.Up, s.Fault)
	}
}

// Each cause that an event may have is counted, has a word, and appears before it occurs.
func TestOutcomes(t *testing.T) {
	var o outcomes
	var s conf.Summary
	o.summarize(&s)
	rows := len(s.Handshakes)
	note := func(out core.Output) {
		out.Kind = core.Log
		o.note(&out)
	}
	note(core.Output{Event: core.SessionBegun})
	for _, after := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Minute} {
		note(core.Output{Event: core.SessionBegun, Initiator: true, After: after})
	}
	note(core.Output{Event: core.CookieReceived, Initiator: true})
	o.note(&core.Output{Kind: core.Send, Event: core.SessionBegun})
	for i, row := range outcomeTable {
		for j, cause := range row.causes {
			for range 10*i + j + 1 {
				note(core.Output{Event: row.event, Cause: cause})
			}
		}
	}
	s = conf.Summary{}
	o.summarize(&s)
	if len(s.Handshakes) != rows || handshakes(&s, conf.CompletedAsInitiator, "") != 4 || handshakes(&s, conf.CompletedAsResponder, "") != 1 {
		t.Errorf("%+v", s.Handshakes)
	}
	for i, row := range outcomeTable {
		for j, cause := range row.causes {
			word := cause.Word()
			if got := handshakes(&s, row.outcome, word); word == "" || got != uint64(10*i+j+1) {
				t.Errorf("%s, %s (%s): %d", row.outcome, cause, word, got)
			}
		}
	}
	h := s.HandshakeTime
	if h.Counts[0] != 2 || h.Counts[1] != 1 || h.Counts[len(h.Counts)-1] != 1 || total(&h) != 4 || len(h.Bounds) != len(h.Counts)-1 || h.Sum < 60 || h.Sum > 60.01 {
		t.Errorf("%+v", h)
	}
}
