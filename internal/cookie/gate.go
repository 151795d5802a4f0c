package cookie

import (
	"io"
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/key"
)

// A Verdict is what a Gate decides about a message.
type Verdict uint8

const (
	Admit         Verdict = iota + 1 // add it to the handshake queue
	Reply                            // only send the cookie reply to its source
	DropMalformed                    // neither an initiation nor a response
	DropNoKey                        // there is no private key, so no message is for this interface
	DropMAC1                         // its sender does not know our public key
	DropFull                         // the handshake queue is full
	DropRate                         // its source is over its rate
	DropRandom                       // it needs a cookie, and there are no random bytes
)

var verdicts = [...]string{
	Admit:         "admitted",
	Reply:         "asked for a cookie",
	DropMalformed: "not a handshake message",
	DropNoKey:     "handshake without a private key",
	DropMAC1:      "handshake with a wrong mac1",
	DropFull:      "handshake queue full",
	DropRate:      "handshakes over the rate of their source",
	DropRandom:    "no random bytes for a cookie",
}

// String returns the verdict in words.
func (v Verdict) String() string {
	if v == 0 || int(v) >= len(verdicts) {
		return "no verdict"
	}
	return verdicts[v]
}

// Load begins when the handshake queue is filled to one part in loadShare. It
// ends loadLasts after the queue was last that full (A28).
const (
	loadShare = 8
	loadLasts = time.Second
)

// Gate makes all decisions of a receiver about initiations and responses, which
// it treats alike (A27), before they enter the handshake queue. It is not safe
// for concurrent use.
type Gate struct {
	key.Hidden
	checker Checker
	limiter Limiter
	force   bool
	loaded  clock.Time // when the queue was last that full; 0: never
}

// NewGate returns the Gate for the owner of a public key. With the zero key it
// drops every message. It reads the secrets and nonces of cookies from random.
func NewGate(public key.Public, random io.Reader) *Gate {
	g := &Gate{checker: Checker{random: random}}
	g.SetKey(public)
	return g
}

// SetKey changes the owner.
func (g *Gate) SetKey(public key.Public) { g.checker.SetKey(public) }

// SetForce makes the gate behave as under load, whatever the load is.
func (g *Gate) SetForce(force bool) { g.force = force }

// UnderLoad reports whether handshakes need a cookie at now.
func (g *Gate) UnderLoad(now clock.Time) bool {
	return g.force || g.loaded != 0 && now.Sub(g.loaded) < loadLasts
}

// Check is the first and cheapest part of the decision about a datagram: whether it is an
// initiation or response from a sender that knows the owner's public key. If so, it
// returns Admit, and the method Admit decides the rest, at once or later.
func (g *Gate) Check(msg []byte) Verdict {
	switch {
	case !hasMACs(msg):
		return DropMalformed
	case !g.checker.HasKey():
		return DropNoKey
	case !g.checker.CheckMAC1(msg):
		return DropMAC1
	}
	return Admit
}

// Admit decides about a message that Check has admitted, while queued of capacity
// places in the handshake queue are taken. If the Verdict is Reply, the message is to be
// answered with reply, which is valid until the next call. Nothing else is ever answered
// (A5, A6).
func (g *Gate) Admit(now clock.Time, from netip.AddrPort, msg []byte, queued, capacity int) (v Verdict, reply []byte) {
	if !from.IsValid() {
		return DropMalformed, nil
	}
	if queued > 0 && queued >= capacity/loadShare {
		g.loaded = now
	}
	if !g.UnderLoad(now) {
		// A23, A30: mac2 is ignored, no rate is enforced, and no cookie is sent.
		g.limiter.Expire(now)
		return Admit, nil
	}
	if !HasMAC2(msg) || !g.checker.CheckMAC2(now, from, msg) {
		if reply, ok := g.checker.Reply(now, from, msg); ok {
			return Reply, reply
		}
		return DropRandom, nil
	}
	if queued >= capacity {
		return DropFull, nil // before the limiter, so that it does not count against the rate of its source
	}
	// A30: after mac2, so that forged sources do not use up the rate of the real ones.
	if !g.limiter.Allow(now, from.Addr()) {
		return DropRate, nil
	}
	return Admit, nil
}

// Erase forgets the key and the secret of the cookies.
func (g *Gate) Erase() {
	g.checker.Erase()
	g.limiter = Limiter{}
}
