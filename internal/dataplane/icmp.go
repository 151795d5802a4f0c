package dataplane

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
)

// tooBig drops n packets, of a frame that no datagram carries, and answers (A46).
func (e *Encapsulator) tooBig(now clock.Time, frame []byte, n, limit int) {
	e.Drops.Add(DropTooBig, n)
	e.answer(now, frame, packet.TooBig, limit)
}

// unreachable drops n packets, of a frame for which there is no peer, or a peer
// without an address, and answers (A48).
func (e *Encapsulator) unreachable(now clock.Time, frame []byte, reason Drop, n int) {
	e.Drops.Add(reason, n)
	e.answer(now, frame, packet.Unreachable, 0)
}

// answer writes an ICMP error about a frame to the interface.
func (e *Encapsulator) answer(now clock.Time, frame []byte, problem packet.Problem, mtu int) {
	n := packet.PutError(e.errFrame[:], frame[packet.VirtioHeaderSize:], problem, mtu)
	if n == 0 || !e.errors.Take(now, errorBurst, errorInterval) {
		return
	}
	e.errWrite[0] = e.errFrame[:n]
	if e.tun.Write(e.errWrite[:]) != nil {
		e.Drops.Add(DropInterface, 1)
	}
}

// ICMP errors are for people and path MTU discovery; a flood of packets to
// nowhere must not become a flood of errors (A48).
const (
	errorInterval = 10 * time.Millisecond // one error each, on average
	errorBurst    = 50
)
