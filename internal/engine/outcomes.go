package engine

import (
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/core"
)

// timeBounds are those of the histogram of the time that handshakes take.
var timeBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// causeWords are the causes of failures, of refusals and of lost sessions, as words for
// programs.
var causeWords = map[core.Cause]string{
	core.NoAnswer: "no-answer", core.NoWayToSpeak: "no-endpoint-or-key", core.LowOrder: "low-order", core.NotAuthentic: "not-authentic",
	core.UnknownKey: "unknown-key", core.Replayed: "replayed", core.TooSoon: "too-soon", core.Changed: "configuration-changed",
	core.Expired: "expired", core.PeerRemoved: "removed", core.AllRemoved: "all-removed", core.KeyReplaced: "private-key-replaced",
}

// outcomeTable lists what outcomes counts.
var outcomeTable = []struct {
	outcome conf.HandshakeOutcome
	event   core.Event
	causes  []core.Cause
}{
	{conf.FailedHandshake, core.GivenUp, []core.Cause{core.NoAnswer, core.NoWayToSpeak, core.LowOrder, core.Changed}},
	{conf.RefusedInitiation, core.InitiationRefused, []core.Cause{core.NotAuthentic, core.UnknownKey, core.Replayed, core.TooSoon, core.LowOrder, core.Changed}},
	{conf.RefusedResponse, core.ResponseRefused, []core.Cause{core.NotAuthentic, core.Changed}},
}

// outcomes counts how handshakes ended.
type outcomes struct {
	mu        sync.Mutex
	initiator uint64 // completed
	responder uint64 // completed
	caused    map[core.Event]map[core.Cause]uint64
	times     [len(timeBounds) + 1]uint64 // of those completed as the initiator
	sum       time.Duration
}

// note counts an output of the machine.
func (o *outcomes) note(out *core.Output) {
	if out.Kind != core.Log {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch out.Event {
	case core.SessionBegun:
		if !out.Initiator {
			o.responder++
			return
		}
		o.initiator++
		i := 0
		for i < len(timeBounds) && out.After > timeBounds[i] {
			i++
		}
		o.times[i]++
		o.sum += out.After
	case core.GivenUp, core.InitiationRefused, core.ResponseRefused:
		if o.caused == nil {
			o.caused = make(map[core.Event]map[core.Cause]uint64)
		}
		if o.caused[out.Event] == nil {
			o.caused[out.Event] = make(map[core.Cause]uint64)
		}
		o.caused[out.Event][out.Cause]++
	}
}

// summarize adds the counts to s.
func (o *outcomes) summarize(s *conf.Summary) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.Handshakes = []conf.HandshakeCount{
		{Outcome: conf.CompletedAsInitiator, Count: o.initiator}, {Outcome: conf.CompletedAsResponder, Count: o.responder},
	}
	for _, row := range outcomeTable {
		for _, cause := range row.causes {
			s.Handshakes = append(s.Handshakes, conf.HandshakeCount{Outcome: row.outcome, Reason: causeWords[cause], Count: o.caused[row.event][cause]})
		}
	}
	s.HandshakeTime = histogram(timeBounds[:], o.times[:], o.sum.Seconds())
}

func histogram(bounds []time.Duration, counts []uint64, sum float64) conf.Histogram {
	h := conf.Histogram{Sum: sum, Counts: append([]uint64{}, counts...)}
	for _, b := range bounds {
		h.Bounds = append(h.Bounds, b.Seconds())
	}
	return h
}
