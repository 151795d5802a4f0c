package dataplane

import (
	"sync/atomic"

	"wgd/conf"
)

// Drop is a reason for which a packet is not carried further.
type Drop uint8

// On the way out.
const (
	DropNotIP        Drop = iota // neither IPv4 nor IPv6, or no whole header
	DropMalformed                // a super-packet that contradicts itself
	DropNoPeer                   // no allowed IP has the destination (A48)
	DropNoEndpoint               // the peer's address is not known (A48)
	DropTooBig                   // no UDP datagram carries it (A46)
	DropLoop                     // our own datagram, routed into the tunnel again
	DropStaged                   // waited for a session, and had to make room or was purged (A42)
	DropSessionEnded             // the session ended while packets were on their way into it
	DropSend                     // the socket refused it

	// On the way in.
	DropNotAMessage // not a message of the protocol: length, type, reserved bytes (A1, A2)
	DropMAC1        // handshake not addressed to us, or forged
	DropRate        // too many handshakes from one source (A29)
	DropQueueFull
	DropHandshake   // otherwise bad handshake
	DropNoSession   // data for a session we do not have
	DropExpired     // data under a key too old (A36)
	DropForged      // the AEAD says no
	DropReplay      // counter seen before, or too old
	DropInnerPacket // inner packet that is not IP, or with a wrong length (A47)
	DropSource      // inner source address that is not the peer's (A49)
	DropInterface   // the interface refused it

	drops // how many there are
)

var dropNames = [drops]string{
	DropNotIP:        "not-ip",
	DropMalformed:    "malformed",
	DropNoPeer:       "no-peer",
	DropNoEndpoint:   "no-endpoint",
	DropTooBig:       "too-big",
	DropLoop:         "loop",
	DropStaged:       "staged",
	DropSessionEnded: "session-ended",
	DropSend:         "send",
	DropNotAMessage:  "not-a-message",
	DropMAC1:         "mac1",
	DropRate:         "rate",
	DropQueueFull:    "queue-full",
	DropHandshake:    "handshake",
	DropNoSession:    "no-session",
	DropExpired:      "expired",
	DropForged:       "forged",
	DropReplay:       "replay",
	DropInnerPacket:  "inner-packet",
	DropSource:       "source",
	DropInterface:    "interface",
}

// String is the reason as Status shows it.
func (d Drop) String() string {
	if d >= drops {
		return "unknown"
	}
	return dropNames[d]
}

// Drops counts packets by reason, for one interface.
type Drops struct{ counts [drops]atomic.Uint64 }

// Add counts n packets dropped for reason d.
func (c *Drops) Add(d Drop, n int) {
	if n > 0 {
		c.counts[d].Add(uint64(n))
	}
}

// Count is how many were dropped for reason d.
func (c *Drops) Count(d Drop) uint64 { return c.counts[d].Load() }

// Status lists the reasons that occurred.
func (c *Drops) Status() (list []conf.Drop) {
	for d := range drops {
		if n := c.Count(d); n > 0 {
			list = append(list, conf.Drop{Reason: d.String(), Count: n})
		}
	}
	return list
}
