package dataplane

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// outbound is a side with several peers and the traffic that it reads from its
// interface. The same seed yields the same traffic.
type outbound struct {
	*side
	rng   *rand.Rand
	now   clock.Time
	peers []*peer.Peer
	hosts []netip.Addr // one behind each peer
	index uint32       // of the latest session
}

func newOutbound(t *testing.T, seed uint64) *outbound {
	f := &outbound{side: newSide(t, "192.0.2.1:51820"), rng: rand.New(rand.NewPCG(seed, 1)), now: start}
	f.MTU.Store(int32([]int{0, 576, 1420, 65535}[seed%4]))
	for i := range 5 {
		p, host := peer.New(f.common), netip.AddrFrom4([4]byte{10, 5, 0, byte(i)})
		f.peers, f.hosts = append(f.peers, p), append(f.hosts, host)
		f.route(p, netip.PrefixFrom(host, 32))
		if i > 0 { // the first one has no address
			address := []string{"198.51.100.1:5", "[2001:db8::1]:5"}[i%2]
			p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(address), netip.Addr{}, 0))
			f.session(p)
		}
	}
	f.route(f.peers[2], netip.MustParsePrefix("198.51.100.1/32"))
	return f
}

// session gives p a new session.
func (f *outbound) session(p *peer.Peer) {
	f.index++
	key := [32]byte{byte(f.index), byte(f.index >> 8)}
	k := session.New(&key, &key, f.index, f.index, f.index%2 == 0, f.now)
	p.SetSessions(&peer.Sessions{Current: k, Previous: p.Sessions().Current})
	f.reserve(k.Local, &index.Entry{Peer: p, Keypair: k})
}

// batch may change a peer's state, and returns the next frames of the interface.
func (f *outbound) batch() (now clock.Time, frames [][]byte) {
	f.now = f.now.Add(time.Duration(f.rng.IntN(20)) * time.Second)
	i := f.rng.IntN(len(f.peers))
	switch p := f.peers[i]; f.rng.IntN(12) {
	case 0:
		p.SetSessions(nil)
	case 1:
		f.session(p)
	case 2:
		p.Stage(f.frame(f.hosts[i]), 1)
	}
	to := f.hosts[f.rng.IntN(len(f.hosts))]
	for range 1 + f.rng.IntN(30) {
		if f.rng.IntN(6) == 0 {
			to = f.hosts[f.rng.IntN(len(f.hosts))]
		}
		frames = append(frames, f.frame(to))
	}
	return f.now, frames
}

// frame returns a frame to a host, or one that cannot be sent.
func (f *outbound) frame(to netip.Addr) []byte {
	switch kind := f.rng.IntN(200); {
	case kind == 0:
		return frame([]byte("no packet at all"))
	case kind == 1:
		return frame(udpPacket(addrA, netip.MustParseAddr("10.66.0.1"), 64)) // no peer
	case kind == 2:
		damaged := tcpSuperTo(to, 1, pattern(5000), 1000)
		damaged[4], damaged[5] = 0, 0
		return damaged
	case kind == 3:
		return frame(udpPacket(addrA, to, 65500)) // too long
	case kind == 4: // our own datagram
		msg := make([]byte, wire.MinDataSize)
		msg[0], msg[4] = byte(wire.TypeData), byte(1+f.rng.IntN(int(f.index)))
		return frame(inside(netip.MustParseAddrPort("198.51.100.1:5"), msg))
	case kind < 10:
		return tcpSuperTo(to, f.rng.Uint32(), pattern(1+f.rng.IntN(60000)), 30+f.rng.IntN(1400))
	}
	p := udpPacket(addrA, to, 32+f.rng.IntN(100), byte(f.rng.Uint32()))
	p[1] = byte(f.rng.IntN(40) / 36) // ECN, sometimes
	ipv4Checksum(p)
	return frame(p)
}

// inbound is a side with several peers and the traffic that its sockets receive.
// The same seed yields the same traffic.
type inbound struct {
	*side
	rng    *rand.Rand
	now    clock.Time
	peers  []*peer.Peer
	theirs []*session.Keypair // the peers' ends of the sessions; the last two belong to one peer
	hosts  []netip.Addr       // one behind each peer
	sent   [][]byte           // some messages to replay
}

func newInbound(t *testing.T, seed uint64) *inbound {
	f := &inbound{side: newSide(t, "192.0.2.2:51820"), rng: rand.New(rand.NewPCG(seed, 1)), now: start}
	for i := range 4 {
		p, host := peer.New(f.common), netip.AddrFrom4([4]byte{10, 5, 0, byte(i)})
		f.peers, f.hosts = append(f.peers, p), append(f.hosts, host)
		f.route(p, netip.PrefixFrom(host, 32))
		current := f.session(p)
		sessions := &peer.Sessions{Current: current}
		if i == 3 {
			sessions.Next = f.session(p)
		}
		p.SetSessions(sessions)
	}
	return f
}

// session creates a session with p and returns the side's end of it.
func (f *inbound) session(p *peer.Peer) *session.Keypair {
	i := uint32(len(f.theirs))
	one, two := [32]byte{byte(i), 1}, [32]byte{byte(i), 2}
	ours := session.New(&one, &two, i, i, i%2 == 0, start.Add(-time.Duration(i)*10*time.Second))
	f.theirs = append(f.theirs, session.New(&two, &one, i, i, i%2 == 1, start))
	f.reserve(i, &index.Entry{Peer: p, Keypair: ours})
	return ours
}

// batch returns what the sockets receive at once: trains in their own buffers, or
// all in one.
func (f *inbound) batch() (now clock.Time, bs []batch.Batch) {
	f.now = f.now.Add(time.Duration(f.rng.IntN(10)) * time.Second)
	shared := f.rng.IntN(2) == 0
	var buf []byte
	from := f.rng.IntN(len(f.theirs))
	for range 1 + f.rng.IntN(60) {
		if f.rng.IntN(4) == 0 {
			from = f.rng.IntN(len(f.theirs))
		}
		b := f.train(from)
		b.Off = len(buf)
		buf = append(buf, b.Data...)
		bs = append(bs, b)
	}
	for i := range bs {
		if b := &bs[i]; shared {
			b.Buf, b.Data = buf, buf[b.Off:][:len(b.Data)]
		}
	}
	return f.now, bs
}

// train returns a train of data, or of other messages.
func (f *inbound) train(from int) batch.Batch {
	k := f.theirs[from]
	at := wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(1000+from+f.rng.IntN(20)/19)), netip.Addr{}, 0)
	kind := f.rng.IntN(40)
	switch {
	case kind == 0:
		return batch.Batch{Data: []byte("noise"), Stride: 5, Remote: at}
	case kind == 1:
		msg := append([]byte{byte(wire.TypeResponse), 0, 0, 0}, make([]byte, wire.ResponseSize-4)...)
		msg[5] = byte(f.rng.Uint32())
		return batch.Batch{Data: msg, Stride: len(msg), Remote: at}
	case kind == 2:
		return seal(k, at, 0, nil)
	case kind == 3 && len(f.sent) > 0:
		msg := bytes.Clone(f.sent[f.rng.IntN(len(f.sent))])
		return batch.Batch{Data: msg, Stride: len(msg), Remote: at}
	}
	size := 64 + f.rng.IntN(200)
	b := batch.Batch{Stride: wire.MinDataSize + size, Remote: at}
	if f.rng.IntN(20) == 0 {
		b.ECN = packet.CE
	}
	for n := 1 + f.rng.IntN(6); n > 0; n-- {
		host := f.hosts[min(from, len(f.hosts)-1)]
		if kind == 4 {
			host = f.hosts[f.rng.IntN(len(f.hosts))] // possibly behind another peer
		}
		p := udpPacket(host, addrB, size, byte(f.rng.Uint32()))
		if kind == 5 {
			p[2]++ // length
		}
		msg := seal(k, at, 0, p).Data
		if f.rng.IntN(30) == 0 {
			f.sent = append(f.sent, bytes.Clone(msg))
		}
		if f.rng.IntN(40) == 0 {
			msg[f.rng.IntN(len(msg)-4)+4] ^= 1 // possibly in the index
		}
		b.Data = append(b.Data, msg...)
	}
	return b
}
