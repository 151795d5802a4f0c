package dataplane

import (
	"bytes"
	"context"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"wgd/internal/batch"
	"wgd/internal/capture"
	"wgd/internal/packet"
	"wgd/internal/pcapng"
	"wgd/internal/peer"
)

// captured is what one capture contains.
type captured struct {
	outer, inner [2][][]byte // payloads of UDP, and packets: outbound and inbound
	dropped      uint64
}

// capture begins a capture of one peer of s, or of all if only is nil. The returned
// function ends it.
func (s *side) capture(only *peer.Peer) (end func() captured) {
	o := capture.Options{
		Interface: "wg0", Outer: true, Inner: true, Clock: func() int64 { return 1 }, NameOf: func(*peer.Peer) string { return "other" },
	}
	if only != nil {
		o.Find = func() *peer.Peer { return only }
	}
	c := capture.New(o)
	if err := s.Captures.Add(c); err != nil {
		s.t.Fatal(err)
	}
	s.Captures.Load().PeersChanged()
	return func() captured {
		s.t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var raw bytes.Buffer
		if err := c.Stream(ctx, &raw); err != nil {
			s.t.Fatal(err)
		}
		return s.read(&raw)
	}
}

// read reads a capture.
func (s *side) read(raw *bytes.Buffer) (out captured) {
	s.t.Helper()
	r := pcapng.NewReader(raw)
	for {
		b, err := r.Next()
		if err != nil {
			return out
		}
		if p, ok := b.Packet(); ok {
			list, data := &out.inner, bytes.Clone(p.Data)
			if p.Interface == 0 {
				list, data = &out.outer, packet.UDPPayload(data)
			}
			list[p.Direction&1] = append(list[p.Direction&1], data)
		}
		if figures, ok := b.Statistics(); ok {
			out.dropped += figures.Dropped
		}
	}
}

// datagrams returns the datagrams of trains.
func datagrams(trains []batch.Batch) (list [][]byte) {
	for i := range trains {
		for j := range trains[i].Count() {
			list = append(list, bytes.Clone(trains[i].At(j)))
		}
	}
	return list
}

// packets returns the packets of frames.
func packets(frames [][]byte) (list [][]byte) {
	for _, f := range frames {
		var s packet.Segments
		s.Reset(f)
		for n := s.Next(); n > 0; n = s.Next() {
			p := make([]byte, n)
			s.Put(p)
			list = append(list, p)
		}
	}
	return list
}

// TestCapture: a capture has the datagrams as they were on the wire, still encrypted, on
// the side that sends and on the one that receives; and the packets inside, one by one,
// also those of super-packets and those that do not fit into one job. It begins in the
// middle of a session.
func TestCapture(t *testing.T) {
	for name, frames := range map[string][][]byte{
		"super-packet":     {tcpSuper(1, pattern(61500), 1380)},
		"many segments":    {tcpSuper(1, pattern(60000), 100)},
		"super-packets":    {tcpSuper(1, pattern(60000), 200), tcpSuper(70000, pattern(61500), 1380), tcpSuper(140000, pattern(50), 1380)},
		"small packets":    small(64),
		"many packets":     small(maxPackets + 7),
		"both families":    {frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA6, addrB6, 1001))},
		"with one refused": {frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, addrA, 64)), frame(udpPacket(addrA, addrB, 65))},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			a.send(start, small(3)...)
			transfer(start, a, b)
			b.tun.take()
			endA, endB := a.capture(nil), b.capture(nil)
			a.send(start, frames...)
			a.enc.Keepalive(a.sealing, start, a.peer)
			sent := datagrams(a.udp.trains)
			transfer(start, a, b)
			atA, atB := endA(), endB()
			want := packets(frames)
			if name == "with one refused" {
				want = append(want[:1], want[2])
			}
			for _, c := range []struct {
				what      string
				got, want [][]byte
			}{
				{"sent datagrams", atA.outer[0], sent},
				{"received datagrams", atB.outer[1], sent},
				{"sent packets", atA.inner[0], want},
				{"received packets", atB.inner[1], want},
				{"packets that were delivered", packets(b.tun.take()), want},
				{"datagrams that the sender received", atA.outer[1], nil},
				{"packets that the receiver sent", atB.inner[0], nil},
			} {
				if !reflect.DeepEqual(c.got, c.want) {
					t.Errorf("%s: %d, and not the %d that there were", c.what, len(c.got), len(c.want))
				}
			}
			if atA.dropped+atB.dropped != 0 {
				t.Errorf("%d packets dropped", atA.dropped+atB.dropped)
			}
		})
	}
}

// TestCaptureStaged: packets that waited for a session are captured when they are sent.
func TestCaptureStaged(t *testing.T) {
	a, _ := pair(t)
	sessions := a.peer.Sessions()
	a.peer.SetSessions(&peer.Sessions{})
	end := a.capture(nil)
	frames := [][]byte{tcpSuper(1, pattern(9000), 100), frame(udpPacket(addrA, addrB, 64))}
	a.send(start, frames...)
	if got := a.udp.take(); got != nil {
		t.Fatal("sent without a session")
	}
	a.peer.SetSessions(sessions)
	a.enc.Flush(a.sealing, start, a.peer)
	got := end()
	if want := packets(frames); !reflect.DeepEqual(got.inner[0], want) || !reflect.DeepEqual(got.outer[0], datagrams(a.udp.take())) {
		t.Errorf("%d packets and %d datagrams captured, want %d", len(got.inner[0]), len(got.outer[0]), len(want))
	}
}

// TestCaptureOfProbes: a packet that the machine has made is captured as well.
func TestCaptureOfProbes(t *testing.T) {
	a, b := pair(t)
	probe := frame(udpPacket(addrA, addrB, 64))
	endA, endB := a.capture(nil), b.capture(nil)
	a.enc.Probe(a.sealing, start, a.peer, probe, 1400)
	transfer(start, a, b)
	want := packets([][]byte{probe})
	if atA, atB := endA(), endB(); !reflect.DeepEqual(atA.inner[0], want) || !reflect.DeepEqual(atB.inner[1], want) {
		t.Errorf("%d sent and %d received packets captured, want the probe", len(atA.inner[0]), len(atB.inner[1]))
	}
}

// TestCaptureOfOnePeer: nothing of other peers is in it, in neither direction, although
// they share a batch.
func TestCaptureOfOnePeer(t *testing.T) {
	a, b := pair(t)
	from := linkPeers(a, b, 7)
	endA, endB := a.capture(a.peer), b.capture(b.peer)
	mine, others := small(5), [][]byte{}
	for i := range 5 {
		others = append(others, frame(udpPacket(from, netip.AddrFrom4([4]byte{10, 2, 0, 7}), 64, byte(i))))
	}
	var mixed [][]byte
	for i := range mine {
		mixed = append(mixed, mine[i], others[i])
	}
	a.send(start, mixed...)
	for _, train := range a.udp.trains {
		if train.Count() != 1 {
			t.Fatal("packets of two peers in one train")
		}
	}
	var sent [][]byte
	for i, d := range datagrams(a.udp.trains) {
		if i%2 == 0 {
			sent = append(sent, d)
		}
	}
	// To b, all come from one address, so only the receiver index tells them apart.
	transfer(start, a, b)
	atA, atB := endA(), endB()
	want := packets(mine)
	if !reflect.DeepEqual(atA.inner[0], want) || !reflect.DeepEqual(atB.inner[1], want) {
		t.Errorf("%d and %d packets inside, want those of one peer: %d", len(atA.inner[0]), len(atB.inner[1]), len(want))
	}
	if !reflect.DeepEqual(atA.outer[0], sent) || !reflect.DeepEqual(atB.outer[1], sent) {
		t.Errorf("%d and %d datagrams, want those of one peer: %d", len(atA.outer[0]), len(atB.outer[1]), len(sent))
	}
	if got := packets(b.tun.take()); len(got) != 10 {
		t.Errorf("%d packets delivered, want 10", len(got))
	}
}

// TestCaptureOfRefused: what is no message, forged or replayed is among the datagrams that
// arrived, and not among the packets inside. A packet with the source of another peer is
// among both.
func TestCaptureOfRefused(t *testing.T) {
	a, b := pair(t)
	end := b.capture(b.peer)
	a.send(start, frame(udpPacket(addrA, addrB, 64)))
	good := a.udp.take()
	a.send(start, frame(udpPacket(addrB, addrB, 64)))
	strange := a.udp.take()
	forged := bytes.Clone(good[0].Data)
	forged[20] ^= 1
	var want [][]byte
	deliver := func(data []byte) {
		want = append(want, bytes.Clone(data))
		b.dec.Decapsulate(b.opening, start, []batch.Batch{{Data: bytes.Clone(data), Stride: len(data), Remote: a.at}})
	}
	deliver(forged)
	deliver(good[0].Data)
	deliver(good[0].Data)
	deliver([]byte("not a message"))
	deliver(strange[0].Data)
	b.wantDrops(map[Drop]uint64{DropForged: 1, DropReplay: 1, DropNotAMessage: 1, DropSource: 1})
	got := end()
	if !reflect.DeepEqual(got.outer[1], want) {
		t.Errorf("%d datagrams, want all %d", len(got.outer[1]), len(want))
	}
	inner := packets([][]byte{frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrB, addrB, 64))})
	if !reflect.DeepEqual(got.inner[1], inner) {
		t.Errorf("%d packets inside, want the authentic ones: %d", len(got.inner[1]), len(inner))
	}
}

// TestCaptureOfUnsent: a datagram that the socket did not take is not in the capture.
func TestCaptureOfUnsent(t *testing.T) {
	a, _ := pair(t)
	end := a.capture(nil)
	a.udp.errs = []error{batch.ErrBacklog, batch.ErrSourceGone}
	a.send(start, small(1)...)
	a.send(start, small(2)...)
	if got := end(); !reflect.DeepEqual(got.outer[0], datagrams(a.udp.take())) || len(got.outer[0]) != 2 {
		t.Errorf("%d datagrams captured, want the 2 that were sent", len(got.outer[0]))
	}
}

// TestFullCapture: packets for which the capture has no room are counted, and sent.
func TestFullCapture(t *testing.T) {
	a, b := pair(t)
	end := a.capture(nil)
	n := 0
	for range 200 { // 24 MB with the datagrams
		a.send(start.Add(time.Second), tcpSuper(1, pattern(60000), 1200))
		n += len(datagrams(a.udp.trains))
		transfer(start.Add(time.Second), a, b)
		b.tun.take()
	}
	a.wantDrops(nil)
	b.wantDrops(nil)
	got := end()
	have := len(got.outer[0]) + len(got.inner[0])
	if n != 200*50 || have == 0 || have+int(got.dropped) != 2*n {
		t.Errorf("%d packets captured and %d dropped, of %d", have, got.dropped, 2*n)
	}
}
