package dataplane

import (
	"errors"
	"sync/atomic"

	"wgd/conf"
	"wgd/internal/batch"
)

// A Drop is a reason to discard a packet. A new one needs a line here, a row in
// dropTable, and a run of go generate ./docs/tables.
type Drop uint8

const (
	DropNotIP Drop = iota
	DropMalformed
	DropNoPeer
	DropNoEndpoint
	DropTooBig
	DropLoop
	DropStaged
	DropSessionEnded
	DropSend
	DropBacklog
	DropNotAMessage
	DropMAC1
	DropRate
	DropQueueFull
	DropFlood
	DropHandshake
	DropNoSession
	DropExpired
	DropForged
	DropReplay
	DropInnerPacket
	DropSource
	DropInterface

	drops // how many there are
)

// dropTable describes each reason. The table in docs/operations.md is
// generated from it.
var dropTable = [drops]Row{
	DropNotIP: {Outbound, "not-ip",
		"not an IPv4 or IPv6 packet",
		"nothing"},
	DropMalformed: {Outbound, "malformed",
		"a super-packet that contradicts itself",
		"report it: the kernel should not make one"},
	DropNoPeer: {Outbound, "no-peer", // A48
		"no peer has the destination among its allowed IPs; the sender got \"host unreachable\"",
		"set `--allowed-ips`; or the route into wg0 is too wide"},
	DropNoEndpoint: {Outbound, "no-endpoint", // A48
		"the peer has no endpoint yet; the sender got \"host unreachable\"",
		"set `--endpoint`, or wait for the peer to call"},
	DropTooBig: {Outbound, "too-big", // A46
		"no UDP datagram carries it, or it does not fit into the tunnel around this one; the sender got \"packet too big\"",
		"a smaller MTU"},
	DropLoop: {Outbound, "loop",
		"a datagram that came back into the tunnel that it had left by, or went through a dozen tunnels",
		"set a mark, or a route to the endpoint that avoids wg0; endpoints must not lie in each other's tunnels"},
	DropStaged: {Outbound, "staged", // A42
		"it waited for a session and had to make room, or the peer did not answer",
		"see \"never\" [below](#it-does-not-work)"},
	DropSessionEnded: {Outbound, "session-ended",
		"the session ended while the packet was sent",
		"nothing, if it is rare"},
	DropSend: {Outbound, "send",
		"the socket refused it",
		"check the route to the endpoint; LOG_LEVEL=verbose says more about handshakes"},
	DropBacklog: {Outbound, "backlog",
		"more is sent to the peer than the line to it carries: see [below](#slow-lines)",
		"nothing: the sender notices, and sends less"},
	DropNotAMessage: {Inbound, "not-a-message", // A1, A2
		"not a message of the protocol",
		"somebody scans the port, or another program sends to it"},
	DropMAC1: {Inbound, "mac1",
		"a handshake from a sender that does not know our public key",
		"the peer has a wrong public key for us; or it is a scan"},
	DropRate: {Inbound, "rate", // A29
		"too many handshakes from one source, under load",
		"nothing: that is the protection"},
	DropQueueFull: {Inbound, "queue-full",
		"too many handshakes from all sources together",
		"nothing; if it lasts, find out who sends them"},
	DropFlood: {Inbound, "flood",
		"handshakes that arrive faster than they can be checked",
		"nothing: data goes first; if it lasts, find out who sends them"},
	DropHandshake: {Inbound, "handshake",
		"a handshake that is from a stranger, with another preshared key, repeated, with an old timestamp, or within 20 ms of the last",
		"compare keys and preshared keys on both sides"},
	DropNoSession: {Inbound, "no-session",
		"data for a session that we do not have",
		"nothing: it is usual after a restart, and the peer notices within 15 s"},
	DropExpired: {Inbound, "expired", // A36
		"data encrypted with a key that is too old",
		"nothing, if it is rare"},
	DropForged: {Inbound, "forged",
		"data that fails authentication",
		"nothing, if it is rare: damage on the way. Or it is an attack"},
	DropReplay: {Inbound, "replay",
		"data that arrived before, or is more than 8,000 packets late",
		"nothing, if it is rare: the network repeats packets. Or it is an attack"},
	DropInnerPacket: {Inbound, "inner-packet", // A47
		"authentic, but not an IP packet of the right length",
		"the peer is broken"},
	DropSource: {Inbound, "source", // A49
		"authentic, but from an inner address that is not the peer's",
		"add the address to this peer's allowed IPs; or the other side lacks NAT"},
	DropInterface: {Inbound, "interface",
		"the interface refused it: it was down, for example",
		"nothing, if it is rare"},
}

// String returns the name that Status shows.
func (d Drop) String() string {
	if d >= drops {
		return "unknown"
	}
	return dropTable[d].Name
}

// NotSent returns the reason for a packet that UDP.Send did not send, from its
// error.
func NotSent(err error) Drop {
	if errors.Is(err, batch.ErrBacklog) {
		return DropBacklog
	}
	return DropSend
}

// Drops counts packets by reason, for one interface.
type Drops struct{ counts [drops]atomic.Uint64 }

// Add counts n packets dropped for reason d.
func (c *Drops) Add(d Drop, n int) {
	if n > 0 {
		c.counts[d].Add(uint64(n))
	}
}

// Count returns the number of packets dropped for reason d.
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
