package serve

import (
	"time"

	"wgd/key"
)

const (
	// callPause is the least time between two handshakes that are initiated with a peer.
	callPause = 5 * time.Second
	// callBurst and callRate bound those with all peers.
	callBurst = 4096
	callRate  = 1000 // in a second
)

// calls are the handshakes that were initiated because of data for nobody's session. Anybody
// can send such data, so they are bounded.
type calls struct {
	last   map[key.Public]time.Time
	tokens float64
	at     time.Time // when tokens was right
}

func newCalls() calls { return calls{last: map[key.Public]time.Time{}, tokens: callBurst} }

// call reports whether a handshake with a peer may be initiated where data came from: "" if
// so. The caller holds mu.
func (s *served) call(a answer) refusalReason {
	now := time.Now()
	c := &s.calls
	if a.peer.Seen.Endpoint != a.at {
		return notSeenThere
	}
	if last, ok := c.last[a.peer.PublicKey]; ok && now.Sub(last) < callPause {
		return tooSoon
	}
	c.tokens = min(callBurst, c.tokens+now.Sub(c.at).Seconds()*callRate)
	c.at = now
	if c.tokens < 1 {
		return tooMany
	}
	c.tokens--
	if len(c.last) >= 2*callBurst {
		for k, last := range c.last {
			if now.Sub(last) >= callPause {
				delete(c.last, k)
			}
		}
	}
	c.last[a.peer.PublicKey] = now
	s.figures.called++
	return ""
}
