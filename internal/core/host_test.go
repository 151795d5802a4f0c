package core

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/key"
)

// host is a machine with a minimal data plane.
type host struct {
	w        *world
	n        int
	m        *Machine
	index    *index.Table
	unknown  *unknown.Table
	gate     *cookie.Gate
	private  key.Private
	public   key.Public
	addr     netip.AddrPort
	wall     time.Duration // how far its wall clock is ahead
	refusing bool          // the socket refuses to send

	got  []string // inner packets received, in order
	sent []sent   // datagrams passed to the socket, including refused ones

	reserved wire.TAI64N
	accepted map[key.Public]wire.TAI64N
	replies  int        // cookie replies sent
	events   []string   // what happened, see logEvent
	returned conf.Stamp // of the last lent peer that was returned
	reported reported
	jobs     []*Job
	hold     bool // append jobs to jobs instead of running them
}

// sent is a datagram that was sent.
type sent struct {
	at   time.Duration // after the start
	kind wire.Type
	size int
	to   netip.AddrPort
	msg  []byte
}

// host adds a host that is down and has no peers.
func (w *world) host() *host {
	n := len(w.hosts) + 1
	h := &host{w: w, n: n, private: keyFor(n), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 51820)}
	h.public = h.private.Public()
	h.restart(wire.TAI64N{}, nil)
	w.hosts = append(w.hosts, h)
	return h
}

// restart gives h a new machine, with the stamps that were on disk.
func (h *host) restart(ceiling wire.TAI64N, received map[key.Public]wire.TAI64N) {
	h.index = index.New()
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(h.w.dice.Uint32())
	}
	h.unknown = unknown.New()
	h.m = New(Options{Rand: rand.NewChaCha8(seed), Index: h.index, Unknown: h.unknown, Ceiling: ceiling, Received: received})
	h.reported = reported{}
	h.gate = cookie.NewGate(h.public, rand.NewChaCha8(seed))
	h.accepted = map[key.Public]wire.TAI64N{}
	h.apply(conf.Change{PrivateKey: &h.private})
}

func (h *host) time() clock.Now {
	return clock.Now{Mono: h.w.now, Wall: epoch.Add(h.w.now.Sub(start) + h.wall)}
}

func (h *host) apply(c conf.Change) {
	h.w.t.Helper()
	if err := h.m.Apply(h.time(), c); err != nil {
		h.w.t.Fatal(err)
	}
	h.gate.SetKey(h.m.PublicKey())
	h.drain()
}

func (h *host) up() {
	h.m.Up(h.time())
	h.drain()
}

func (h *host) down() {
	h.m.Down(h.time())
	h.drain()
	h.reported = reported{} // that all sessions have ended is no event of the machine
}

// peer returns the shared part of the peer other.
func (h *host) peer(other *host) *peer.Peer {
	return h.m.members[other.public].shared
}

func (h *host) member(other *host) *member { return h.m.members[other.public] }

func (h *host) status(other *host) conf.PeerStatus {
	public := other.public
	for _, p := range h.m.Status(h.time()).Peers {
		if p.PublicKey == public {
			return p
		}
	}
	h.w.t.Fatalf("no such peer")
	return conf.PeerStatus{}
}

// drain carries out the outputs of the machine.
func (h *host) drain() {
	for out, ok := h.m.Poll(); ok; out, ok = h.m.Poll() {
		switch out.Kind {
		case Send:
			h.logEvent(&out)
			h.transmit(out.Endpoint.Remote, out.Message)
			out.Peer.CountSent(len(out.Message))
		case Run:
			h.work(out.Job)
		case Flush:
			if k := out.Peer.Sessions().Sending(); !h.flush(out.Peer) && (k == nil || k.Sent() == 0) {
				h.seal(out.Peer, "")
			}
		case Keepalive:
			h.seal(out.Peer, "")
		case Purge:
			out.Peer.Purge()
		case Reserve:
			h.reserved = out.Stamp
		case Accepted:
			h.accepted[out.PublicKey] = out.Stamp
		case Forget:
			delete(h.accepted, out.PublicKey)
		case Log:
			if out.Event == Returned {
				h.returned = conf.Stamp(out.Stamp)
			}
			h.logEvent(&out)
			h.reported.check(h.w.t, &out)
		}
	}
}

func (h *host) work(j *Job) {
	if h.hold {
		h.jobs = append(h.jobs, j)
		return
	}
	var d time.Duration
	if h.w.jobDelay != nil {
		d = h.w.jobDelay()
	}
	j.Run()
	machine := h.m
	h.w.after(d, func() {
		if h.m == machine {
			h.finish(j)
		}
	})
}

func (h *host) finish(j *Job) {
	h.m.Finish(h.time(), j)
	h.drain()
}

// transmit passes a datagram to the socket.
func (h *host) transmit(to netip.AddrPort, msg []byte) {
	kind, _ := wire.TypeOf(msg)
	h.sent = append(h.sent, sent{h.w.now.Sub(start), kind, len(msg), to, msg})
	if !h.refusing {
		h.w.deliver(h, to, msg)
	}
}

// send sends a packet from the interface to a peer.
func (h *host) send(to *host, packet string) {
	p := h.peer(to)
	if k := p.Sessions().Sending(); k != nil && k.Usable(h.w.now) && !p.HasStaged() {
		h.seal(p, packet)
		return
	}
	p.Stage([]byte(packet), 1)
	h.m.Want(h.time(), p)
	h.drain()
}

func (h *host) flush(p *peer.Peer) bool {
	if k := p.Sessions().Sending(); k == nil || !k.Usable(h.w.now) {
		return false
	}
	return p.Flush(func(raw []byte) bool { h.seal(p, string(raw)); return true })
}

// seal sends a packet on the current session; "" is a keepalive.
func (h *host) seal(p *peer.Peer, packet string) {
	k := p.Sessions().Sending()
	if k == nil || !k.Usable(h.w.now) {
		return
	}
	first, ok := k.Reserve(1)
	if !ok {
		return
	}
	buf := make([]byte, wire.MinDataSize+len(packet))
	copy(buf[wire.DataHeaderSize:], packet)
	k.Seal(buf, []aead.Packet{{Len: int32(len(buf))}}, first)
	wake := p.NoteSent(h.w.now, packet != "")
	if !h.refusing {
		p.CountSent(len(buf))
	}
	h.transmit(p.Endpoint().Remote, buf)
	t := p.Timing()
	if k.Initiator && h.w.now.Sub(k.Created) >= t.RekeyAfterTime || k.Sent() >= t.RekeyAfterMessages {
		h.m.Want(h.time(), p)
	}
	if wake {
		h.m.Wake(h.time(), p)
	}
	h.drain()
}

// receive processes a datagram from the socket.
func (h *host) receive(from netip.AddrPort, msg []byte) {
	end := wire.NewEndpoint(from, h.addr.Addr(), 2)
	switch kind, ok := wire.TypeOf(msg); {
	case !ok:
	case kind == wire.TypeData:
		h.open(end, append([]byte(nil), msg...))
	case kind == wire.TypeCookieReply:
		h.m.Receive(h.time(), end, msg)
	default:
		var reply []byte
		verdict := h.gate.Check(msg)
		if verdict == cookie.Admit {
			verdict, reply = h.gate.Admit(h.w.now, from, msg, 0, 1024)
		}
		if verdict == cookie.Reply {
			h.replies++
			h.w.deliver(h, from, append([]byte(nil), reply...))
		}
		if verdict == cookie.Admit {
			h.m.Receive(h.time(), end, msg)
		}
	}
	h.drain()
}

func (h *host) open(from wire.Endpoint, msg []byte) {
	entry := h.index.Lookup(wire.DataIndex(msg))
	if entry == nil {
		h.unknown.Session(h.w.now, from)
	}
	if entry == nil || entry.Keypair == nil || !entry.Keypair.Usable(h.w.now) {
		return
	}
	p, k := entry.Peer, entry.Keypair
	one := []aead.Packet{{Len: int32(len(msg))}}
	if k.Open(msg, one) > 0 || k.Accept(msg, one) > 0 {
		return
	}
	data := len(msg) > wire.MinDataSize
	p.SetEndpoint(from)
	p.CountReceived(len(msg))
	if p.NoteReceived(h.w.now, data) {
		h.m.Wake(h.time(), p)
	}
	if p.Sessions().Next == k {
		k.Confirm()
		h.m.Confirm(h.time(), p, k)
	}
	if c := p.Sessions().Sending(); c != nil && c.Initiator && h.w.now.Sub(c.Created) >= p.Timing().RekeyOnReceive {
		h.m.Want(h.time(), p)
	}
	if data {
		h.got = append(h.got, string(msg[wire.DataHeaderSize:len(msg)-wire.TagSize]))
	}
}
