package engine

import (
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/core"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// timeBounds are those of the histogram of the time that handshakes take.
var timeBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
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

// An ending is how a handshake failed, or a message of one was refused.
type ending struct {
	event core.Event
	cause core.Cause
}

// caused is what is known about the handshakes or messages with one ending.
type caused struct {
	count uint64
	peers peer.Sole
	from  wire.Endpoint // the sender of the last message
}

// outcomes counts how handshakes ended.
type outcomes struct {
	mu        sync.Mutex
	initiator uint64 // completed
	responder uint64 // completed
	caused    map[ending]*caused
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
			o.caused = make(map[ending]*caused)
		}
		c := o.caused[ending{out.Event, out.Cause}]
		if c == nil {
			c = &caused{}
			o.caused[ending{out.Event, out.Cause}] = c
		}
		c.count++
		c.peers.Note(out.Peer)
		c.from = out.Endpoint
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
			count := uint64(0)
			if c := o.caused[ending{row.event, cause}]; c != nil {
				count = c.count
			}
			s.Handshakes = append(s.Handshakes, conf.HandshakeCount{Outcome: row.outcome, Reason: cause.Word(), Count: count})
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
