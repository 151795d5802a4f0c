package driver

import (
	"errors"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// handshakeTOS is DSCP AF41 (A56).
const handshakeTOS = 0x88

// Effects carry out the outputs of a machine.
type Effects interface {
	// Send is the method of dataplane.UDP.
	Send(b *batch.Batch) error
	// Flush, Keepalive and Probe are the methods of a dataplane.Encapsulator.
	Flush(now clock.Time, p *peer.Peer) bool
	Keepalive(now clock.Time, p *peer.Peer) bool
	Probe(now clock.Time, p *peer.Peer, frame []byte, size int)
	// Start runs a job on any core, and then passes it to Inbox.PutFinished.
	Start(now clock.Time, j *core.Job)
	// Remember records a core.Reserve, core.Accepted or core.Forget.
	Remember(out *core.Output)
}

// Outcome is the result of carrying out an output, for the log.
type Outcome struct {
	Err    error // from Send
	Purged int   // number of packets dropped
}

// CarryOut carries out an output of the machine, and counts drops in drops.
func CarryOut(x Effects, drops *dataplane.Drops, now clock.Time, out *core.Output) (result Outcome) {
	switch out.Kind {
	case core.Send:
		b := Datagram(out)
		result.Err = send(x, drops, &b)
		if errors.Is(result.Err, batch.ErrSourceGone) { // A52
			out.Peer.ForgetSource(out.Endpoint)
		}
		sent := batch.Sent(result.Err)
		out.Peer.SetUnsent(!sent)
		if sent { // A40: after a failure, the timers run all the same
			out.Peer.CountSent(len(out.Message))
		}
	case core.Run:
		x.Start(now, out.Job)
	case core.Flush:
		// A34: the initiator sends first, a keepalive if nothing is staged,
		// unless a reader of the interface has already sent on the session.
		if k := out.Peer.Sessions().Sending(); !x.Flush(now, out.Peer) && (k == nil || k.Sent() == 0) {
			x.Keepalive(now, out.Peer)
		}
	case core.Keepalive:
		x.Keepalive(now, out.Peer)
	case core.Probe:
		x.Probe(now, out.Peer, out.Message, out.Size)
	case core.Release:
		release(x, drops, now, out)
	case core.Purge:
		result.Purged = Purge(drops, out.Peer)
	case core.Reserve, core.Accepted, core.Forget:
		x.Remember(out)
	}
	return result
}

// release stages packets for a peer, and sends them, or has the machine begin a handshake.
func release(x Effects, drops *dataplane.Drops, now clock.Time, out *core.Output) {
	known := out.Peer.Endpoint().IsValid()
	for _, p := range out.Packets {
		if known {
			drops.Add(dataplane.DropStaged, out.Peer.Stage(p.Frame, p.Count))
		} else {
			drops.Add(dataplane.DropNoEndpoint, p.Count)
		}
	}
	if known {
		x.Keepalive(now, out.Peer)
	}
}

// Datagram returns the datagram of a core.Send.
func Datagram(out *core.Output) batch.Batch {
	return batch.Batch{
		Data: out.Message, Stride: len(out.Message), TOS: handshakeTOS,
		Remote: out.Endpoint, Class: batch.Control, DontFragment: out.Peer.Location().IntoTunnel(),
	}
}

// sender has the method of dataplane.UDP that sends one batch.
type sender interface{ Send(b *batch.Batch) error }

// SendReply sends the cookie reply of a Decision to Answer. It uses b as scratch space.
func SendReply(udp sender, drops *dataplane.Drops, to wire.Endpoint, reply []byte, b *batch.Batch) error {
	*b = batch.Batch{Data: reply, Stride: len(reply), TOS: handshakeTOS, Remote: to, Class: batch.Reply}
	return send(udp, drops, b)
}

// send sends a message of type 1 to 3, which is never segmented.
func send(udp sender, drops *dataplane.Drops, b *batch.Batch) error {
	err := udp.Send(b)
	if !batch.Sent(err) {
		drops.Add(dataplane.NotSent(err), 1)
	}
	return err
}

// Quench drains the outputs of a machine that is down: it sends nothing, discards
// the jobs, and passes stamps to Remember. It returns the peers whose staged
// packets the caller must purge without holding a lock, because a purge waits
// for a goroutine that is sending such a packet.
//
// It returns every peer, because the machine does not know which packets were
// staged while there was no socket. The caller must purge before the machine is
// up again, or packets staged from then on would be dropped (A61).
func Quench(x Effects, m *core.Machine) (staged []*peer.Peer) {
	staged = m.Peers()
	for out, ok := m.Poll(); ok; out, ok = m.Poll() {
		switch out.Kind {
		case core.Run:
			m.Discard(out.Job)
		case core.Purge: // the peer may have been removed
			staged = append(staged, out.Peer)
		case core.Reserve, core.Accepted, core.Forget:
			x.Remember(&out) // A21: an accepted stamp must not be lost
		}
	}
	return staged
}

// Purge drops the packets staged for p, and returns their number.
func Purge(drops *dataplane.Drops, p *peer.Peer) int {
	n := p.Purge()
	drops.Add(dataplane.DropStaged, n)
	return n
}
