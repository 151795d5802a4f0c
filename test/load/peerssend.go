package load

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"

	"wgd/internal/aead"
	"wgd/internal/packet"
	"wgd/internal/wire"
)

// InnerSink is where the inner packets of PeersSend go.
const InnerSink = "203.0.113.1"

const (
	ipHeader, udpHeader = 20, 8
	// padTo is what the length of an inner packet is padded to (§5.4.6), up to the MTU.
	padTo, innerMTU = 16, 1420
	// sealAhead is how many packets of a peer are sealed at once, in whole groups of the
	// cipher, so that the load needs little of the machine.
	sealAhead = 16
)

// peersSend sends inner packets of j.Size from all peers in turn, j.PacketRate a second,
// or as fast as one thread can. Its reading is how many it has sent. It drops all answers.
func peersSend(j Job) (func() (Reading, error), error) {
	if j.Size < ipHeader+udpHeader || j.Size > innerMTU {
		return nil, fmt.Errorf("peers cannot send inner packets of %d bytes", j.Size)
	}
	s, err := newSessions(j)
	if err != nil {
		return nil, err
	}
	fd := int(s.file.Fd())
	if err := filter(fd, dropAll); err != nil {
		return nil, err
	}
	senders := make([]*sealer, len(s.list))
	for i := range senders {
		senders[i] = newSealer(&s.list[i], i, j.Size)
	}
	var sent atomic.Uint64
	go func() {
		defer runtime.KeepAlive(s.file)
		// A peer's next message may replace the one before it, so no peer is twice in a burst.
		n := min(burstFor(j.PacketRate), len(senders))
		o, p := newOutgoing(n, s.daemon), newPacer(n, j.PacketRate)
		for next := 0; ; p.wait() {
			for i := range o.list {
				o.set(i, senders[next].next())
				o.from(i, senders[next].outer)
				next = (next + 1) % len(senders)
			}
			sent.Add(uint64(o.send(fd)))
		}
	}()
	return func() (Reading, error) { return Reading{Packets: sent.Load(), Nanoseconds: Now()}, nil }, nil
}

// A sealer makes the data messages of a peer, all with the same inner packet.
type sealer struct {
	session *peerSession
	outer   [4]byte // the peer's address
	plain   []byte  // a message with header, inner packet, padding and room for the tag
	buf     []byte  // of sealAhead messages
	packets []aead.Packet
	used    int    // how many of them were sent
	counter uint64 // of the first message after them
}

func newSealer(session *peerSession, peer, size int) *sealer {
	padded := min((size+padTo-1)/padTo*padTo, innerMTU)
	s := &sealer{session: session, outer: netip.MustParseAddrPort(Endpoint(peer)).Addr().As4(),
		plain: make([]byte, aead.HeaderSize+padded+aead.TagSize), counter: 1} // the session was used once
	wire.PutDataHeader(s.plain, session.index, 0)
	// Within the capacity of plain, which it fills in.
	packet.AppendDatagram(s.plain[:aead.HeaderSize], &packet.DatagramHeader{TTL: 64,
		From: netip.AddrPortFrom(netip.MustParseAddr(Inner(peer)), port),
		To:   netip.AddrPortFrom(netip.MustParseAddr(InnerSink), port)}, make([]byte, size-ipHeader-udpHeader))
	s.buf = make([]byte, sealAhead*len(s.plain))
	s.packets = make([]aead.Packet, sealAhead)
	// The peers seal at different times, so that the load is even.
	s.seal(peer % sealAhead)
	return s
}

// next returns the next message. The one after the next may overwrite it.
func (s *sealer) next() []byte {
	if s.used == sealAhead {
		s.seal(0)
	}
	p := s.packets[s.used]
	s.used++
	return s.buf[p.Off:][:p.Len]
}

// seal makes the messages, without the first ones of them.
func (s *sealer) seal(without int) {
	for i := range s.packets {
		s.packets[i] = aead.Packet{Off: int32(i * len(s.plain)), Len: int32(len(s.plain))}
		copy(s.buf[i*len(s.plain):], s.plain)
	}
	s.session.send.Seal(s.buf, s.packets, s.counter)
	s.counter += sealAhead
	s.used = without
}
