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

	drops // the number of reasons
)

// dropTable describes each reason. The table in docs/operations.md is
// generated from it.
var dropTable = [drops]Row{
	DropNotIP: {Outbound, "not-ip",
		"not an IPv4 or IPv6 packet",
		"nothing"},
	DropMalformed: {Outbound, "malformed",
		"a super-packet with inconsistent headers",
		"report it: the kernel should not make one"},
	DropNoPeer: {Outbound, "no-peer", // A48
		"no peer has the destination among its allowed IPs; the sender got \"host unreachable\"",
		"set `--allowed-ips`, or make the route into wg0 narrower"},
	DropNoEndpoint: {Outbound, "no-endpoint", // A48
		"the peer has no endpoint yet; the sender got \"host unreachable\"",
		"set `--endpoint`; if it is a name, `wgconfig` shows why it was not found; or wait for the peer to start a handshake"},
	DropTooBig: {Outbound, "too-big", // A46
		"too long for a UDP datagram, or for the outer tunnel that this tunnel runs in; the sender got \"packet too big\"",
		"set a smaller MTU"},
	DropLoop: {Outbound, "loop",
		"a datagram of the tunnel that was routed back into it, or that passed through a dozen tunnels",
		"set a mark, or a route to the endpoint that avoids wg0; endpoints must not lie in each other's tunnels"},
	DropStaged: {Outbound, "staged", // A42
		"the packet waited for a session, and newer packets replaced it or the peer did not answer",
		"see \"never\" [below](#it-does-not-work)"},
	DropSessionEnded: {Outbound, "session-ended",
		"the session ended while the packet was being sent",
		"nothing, if it is rare"},
	DropSend: {Outbound, "send",
		"the socket refused the packet",
		"check the route to the endpoint; LOG_LEVEL=verbose logs more about handshakes"},
	DropBacklog: {Outbound, "backlog",
		"more packets are sent to the peer than its line can take: see [below](#slow-lines)",
		"nothing: the sender notices the loss and slows down"},
	DropNotAMessage: {Inbound, "not-a-message", // A1, A2
		"not a WireGuard message",
		"nothing: it is a port scan, or another program sends to this port"},
	DropMAC1: {Inbound, "mac1",
		"a handshake from a sender that does not know our public key",
		"correct our public key in the peer's configuration; or it is a scan"},
	DropRate: {Inbound, "rate", // A29
		"too many handshakes from one source, under load",
		"nothing: this limit protects against floods"},
	DropQueueFull: {Inbound, "queue-full",
		"too many handshakes from all sources together",
		"nothing; if it lasts, find out who sends them"},
	DropFlood: {Inbound, "flood",
		"handshakes that arrived faster than they could be checked",
		"nothing: data has priority; if it lasts, find out who sends them"},
	DropHandshake: {Inbound, "handshake",
		"a handshake from an unknown public key, with a different preshared key, replayed, with an old timestamp, or within 20 ms of the last one",
		"compare the keys and preshared keys on both sides"},
	DropNoSession: {Inbound, "no-session",
		"data for a session that we do not have",
		"nothing: this is normal after a restart, and the peer notices within 15 s"},
	DropExpired: {Inbound, "expired", // A36
		"data encrypted with a key that is too old",
		"nothing, if it is rare"},
	DropForged: {Inbound, "forged",
		"data that fails authentication",
		"nothing, if it is rare: the packet was damaged in transit. Otherwise it may be an attack"},
	DropReplay: {Inbound, "replay",
		"data that arrived before, or is more than 8,000 packets late",
		"nothing, if it is rare: the network duplicates packets. Otherwise it may be an attack"},
	DropInnerPacket: {Inbound, "inner-packet", // A47
		"authentic, but not an IP packet of the right length",
		"report it to the maintainer of the peer's software"},
	DropSource: {Inbound, "source", // A49
		"authentic, but from an inner address that is not the peer's",
		"add the address to this peer's allowed IPs, or set up NAT on the other side"},
	DropInterface: {Inbound, "interface",
		"the interface refused the packet, for example because it was down",
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

// All lists all reasons.
func (c *Drops) All() (list []conf.Drop) {
	for d := range drops {
		list = append(list, conf.Drop{Reason: d.String(), Count: c.Count(d)})
	}
	return list
}

// Status lists the reasons that occurred.
func (c *Drops) Status() (list []conf.Drop) {
	for d := range drops {
		if n := c.Count(d); n > 0 {
			list = append(list, conf.Drop{Reason: d.String(), Count: n})
		}
	}
	return list
}
