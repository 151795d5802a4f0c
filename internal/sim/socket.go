package sim

import (
	"errors"
	"net"
	"net/netip"

	"wgd/internal/batch"
	"wgd/internal/packet"
	"wgd/internal/wire"
)

// Errors of sockets.
var (
	ErrUnreachable = errors.New("sim: the host has no address of that family")
	ErrNoBuffers   = errors.New("sim: no buffer space")
)

// socket is a host's connection to the internet.
type socket Host

// Send sends a train as single datagrams.
func (s *socket) Send(b *batch.Batch) error {
	h := (*Host)(s)
	if !h.up {
		return net.ErrClosed
	}
	source, gone := h.source(&b.Remote)
	if !source.IsValid() {
		return ErrUnreachable
	}
	for i := range b.Count() {
		d := &Datagram{
			At:   h.net.now,
			From: netip.AddrPortFrom(source, Port), To: b.Remote.Remote,
			Data: append([]byte(nil), b.At(i)...),
			ECN:  b.ECN, TOS: b.TOS,
		}
		if err := h.send(d); err != nil {
			return err
		}
	}
	if gone {
		return batch.ErrSourceGone
	}
	return nil
}

// SendAll sends trains one after the other.
func (s *socket) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

// source returns the address from which the host sends to an endpoint, and
// whether the endpoint's source address no longer exists.
func (h *Host) source(to *wire.Endpoint) (source netip.Addr, gone bool) {
	for _, a := range h.addresses {
		if a == to.Source {
			return a, false
		}
	}
	for _, a := range h.addresses {
		if a.Is4() == to.Remote.Addr().Is4() {
			return a, to.Source.IsValid()
		}
	}
	return netip.Addr{}, false
}

func (h *Host) send(d *Datagram) error {
	if !h.Forgetful {
		h.Sent = append(h.Sent, *d)
	}
	h.Counts.Sent[d.Type()]++
	h.Counts.SentBytes += len(d.Data)
	if h.Refuse != nil {
		if err := h.Refuse(d); err != nil {
			h.Counts.Refused++
			return err
		}
	}
	if h.net.Tap != nil {
		h.net.Tap(h, d)
	}
	if h.behind != nil {
		h.behind.send(d)
	} else {
		h.net.transmit(d)
	}
	return nil
}

// receive queues a datagram, to be read with others that arrive at the same
// instant.
func (h *Host) receive(d *Datagram) {
	if !h.up || h.asleep() || d.To.Port() != Port {
		return
	}
	h.Counts.Received[d.Type()]++
	h.Counts.ReceivedBytes += len(d.Data)
	h.waiting = append(h.waiting, d)
	if len(h.waiting) > 1 {
		return
	}
	life := h.life
	h.net.After(0, func() {
		if h.life == life {
			h.read()
		}
	})
}

// read is one read from the socket: it passes the queued datagrams to the data
// plane in one buffer, joined into trains.
func (h *Host) read() {
	h.buf = h.buf[:0]
	for _, d := range h.waiting {
		h.buf = append(h.buf, d.Data...)
	}
	var bs []batch.Batch
	var last *Datagram
	off := 0
	for _, d := range h.waiting {
		size := len(d.Data)
		if h.GRO && last != nil && continuesTrain(&bs[len(bs)-1], last, d) {
			b := &bs[len(bs)-1]
			b.Data = h.buf[b.Off : off+size]
		} else {
			from := wire.NewEndpoint(d.From, d.To.Addr(), 2)
			bs = append(bs, batch.Batch{Data: h.buf[off : off+size], Stride: size, Remote: from, ECN: d.ECN, Buf: h.buf, Off: off})
		}
		last = d
		off += size
	}
	h.waiting = h.waiting[:0]
	opening := h.opening
	if opening == nil {
		opening = h.dec.NewJob()
	}
	if !h.Forgetful { // of which there are many, so that they keep no memory
		h.opening = opening
	}
	h.dec.Decapsulate(opening, h.mono(), bs)
}

// continuesTrain reports whether d may follow last in a train: no datagram is
// longer than the first, and a shorter one ends the train.
func continuesTrain(b *batch.Batch, last, d *Datagram) bool {
	size := len(d.Data)
	return last.From == d.From && last.To == d.To && last.ECN == d.ECN &&
		len(last.Data) == b.Stride && 0 < size && size <= b.Stride
}

// tun is a host's tunnel interface.
type tun Host

// Write splits a super-packet into its segments.
func (t *tun) Write(pieces [][]byte) error {
	var frame []byte
	for _, p := range pieces {
		frame = append(frame, p...)
	}
	var s packet.Segments
	if !s.Reset(frame) {
		return errors.New("sim: the frame is malformed")
	}
	for n := s.Next(); n > 0; n = s.Next() {
		p := make([]byte, n)
		s.Put(p)
		t.Counts.Packets++
		if !t.Forgetful {
			t.Got = append(t.Got, parse(p))
		}
		if got := parse(p); t.Arrived != nil {
			t.net.After(0, func() { t.Arrived(got) })
		}
	}
	return nil
}
