package load

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/replay"
	"wgd/internal/wire"
)

// The times of Linux (drivers/net/wireguard/messages.h).
const (
	rekeyAfter       = 120 * time.Second
	rejectAfter      = 180 * time.Second
	rekeyTimeout     = 5 * time.Second
	rekeyJitter      = time.Second / 3
	keepaliveTimeout = 10 * time.Second
	floodInterval    = time.Second / 50
	maxAttempts      = 90 / 5
	maxStaged        = 128
)

// A linuxPeer is one end of a tunnel with one peer, as the kernel of Linux has it: a client
// that knows nothing of gateways. It follows timers.c, send.c, receive.c and noise.c there:
// five timers, three sessions, the messages that start and stop a timer, and its jitter.
// It has no clock and no socket; what it does not have from the caller is the ephemeral keys.
type linuxPeer struct {
	member
	number   int // the low half of its indices
	macs     *cookie.Maker
	mac1     *cookie.Checker
	random   *rand.Rand // for the jitter
	transmit func(to netip.AddrPort, msg []byte)
	deliver  func(packet []byte)

	endpoint                netip.AddrPort
	previous, current, next *linuxSession
	staged                  [][]byte
	generation              uint32 // the high half of the last index
	pending                 *noise.Handshake
	pendingIndex            uint32
	consumed                wire.TAI64N // the greatest stamp of an initiation to us
	consumedAt              clock.Time

	lastInitiation   clock.Time // or response, that was sent
	attempts         int
	lastMinute       bool // a handshake was begun because the session ends soon
	anotherKeepalive bool
	timers           linuxTimers

	completed int // handshakes
}

// linuxTimers are when a timer fires; 0: it does not run.
type linuxTimers struct{ retransmit, keepalive, newHandshake, zero clock.Time }

// A linuxSession is a pair of keys.
type linuxSession struct {
	local, remote uint32
	initiator     bool
	born          clock.Time
	sent          uint64
	send, receive aead.Key
	window        replay.Window
}

func (s *linuxSession) ageOver(now clock.Now, d time.Duration) bool { return now.Mono.Sub(s.born) >= d }

// newLinuxPeer returns a client whose peer is at an endpoint.
func newLinuxPeer(m member, number int, endpoint netip.AddrPort, random *rand.Rand) *linuxPeer {
	return &linuxPeer{member: m, number: number, endpoint: endpoint, random: random,
		macs: cookie.NewMaker(m.daemon.Public()), mac1: cookie.NewChecker(m.static.Public(), nil)}
}

// Send sends an inner packet, as soon as there is a session.
func (p *linuxPeer) Send(now clock.Now, packet []byte) {
	if len(p.staged) == maxStaged {
		p.staged = p.staged[1:]
	}
	p.staged = append(p.staged, packet)
	p.flush(now)
}

// flush sends what is staged, or begins a handshake for it.
func (p *linuxPeer) flush(now clock.Now) {
	if len(p.staged) == 0 {
		return
	}
	s := p.current
	if s == nil || s.ageOver(now, rejectAfter) {
		p.beginHandshake(now, false)
		return
	}
	list := p.staged
	p.staged = nil
	for _, packet := range list {
		p.seal(now, s, packet)
	}
}

// seal sends a packet in a session; an empty one is a keepalive.
func (p *linuxPeer) seal(now clock.Now, s *linuxSession, packet []byte) {
	const padding = 16
	msg := make([]byte, aead.MinSize+(len(packet)+padding-1)/padding*padding)
	wire.PutDataHeader(msg, s.remote, s.sent)
	copy(msg[aead.HeaderSize:], packet)
	s.send.Seal(msg, []aead.Packet{{Len: int32(len(msg))}}, s.sent)
	s.sent++
	p.timers.keepalive = 0
	p.transmit(p.endpoint, msg)
	if len(packet) > 0 && p.timers.newHandshake == 0 {
		p.timers.newHandshake = p.after(now, keepaliveTimeout+rekeyTimeout)
	}
	if s.initiator && s.ageOver(now, rekeyAfter) {
		p.beginHandshake(now, false)
	}
}

// after returns a time with jitter.
func (p *linuxPeer) after(now clock.Now, d time.Duration) clock.Time {
	return now.Mono.Add(d + time.Duration(p.random.Int64N(int64(rekeyJitter))))
}

// sendKeepalive sends what is staged, or else an empty packet.
func (p *linuxPeer) sendKeepalive(now clock.Now) {
	if len(p.staged) == 0 {
		p.staged = append(p.staged, nil)
	}
	p.flush(now)
}

// Receive handles a datagram, which it may overwrite.
func (p *linuxPeer) Receive(now clock.Now, from netip.AddrPort, msg []byte) {
	switch kind, _ := wire.TypeOf(msg); kind {
	case wire.TypeInitiation:
		p.receiveInitiation(now, from, msg)
	case wire.TypeResponse:
		p.receiveResponse(now, from, msg)
	case wire.TypeCookieReply:
		p.macs.Consume(now.Mono, msg)
	case wire.TypeData:
		p.receiveData(now, from, msg)
	}
}

func (p *linuxPeer) receiveData(now clock.Now, from netip.AddrPort, msg []byte) {
	s := p.sessionOf(wire.DataIndex(msg))
	if s == nil || s.ageOver(now, rejectAfter) {
		return
	}
	counter := wire.DataCounter(msg)
	if s.receive.Open(msg, []aead.Packet{{Len: int32(len(msg))}}) > 0 || !s.window.Accept(counter) {
		return
	}
	p.endpoint = from
	if s == p.next {
		p.previous, p.current, p.next = p.current, s, nil
		p.handshakeComplete()
		p.flush(now)
	}
	if c := p.current; !p.lastMinute && c != nil && c.initiator && c.ageOver(now, rejectAfter-keepaliveTimeout-rekeyTimeout) {
		p.lastMinute = true
		p.beginHandshake(now, false)
	}
	p.timers.newHandshake = 0
	packet := msg[aead.HeaderSize : len(msg)-aead.TagSize]
	if len(packet) == 0 {
		return
	}
	if p.timers.keepalive == 0 {
		p.timers.keepalive = now.Mono.Add(keepaliveTimeout)
	} else {
		p.anotherKeepalive = true
	}
	p.deliver(packet)
}

// sessionOf returns the session of an index, or nil.
func (p *linuxPeer) sessionOf(index uint32) *linuxSession {
	for _, s := range []*linuxSession{p.current, p.previous, p.next} {
		if s != nil && s.local == index {
			return s
		}
	}
	return nil
}

// Tick does what timers are due for.
func (p *linuxPeer) Tick(now clock.Now) {
	due := func(t *clock.Time) bool {
		if *t == 0 || now.Mono < *t {
			return false
		}
		*t = 0
		return true
	}
	if due(&p.timers.retransmit) {
		p.retry(now)
	}
	if due(&p.timers.keepalive) {
		p.sendKeepalive(now)
		if p.anotherKeepalive {
			p.anotherKeepalive = false
			p.timers.keepalive = now.Mono.Add(keepaliveTimeout)
		}
	}
	if due(&p.timers.newHandshake) {
		p.beginHandshake(now, false)
	}
	if due(&p.timers.zero) {
		p.previous, p.current, p.next, p.pending = nil, nil, nil, nil
	}
}

// retry begins a handshake again that was not answered, up to 90 seconds long.
func (p *linuxPeer) retry(now clock.Now) {
	if p.attempts > maxAttempts {
		p.timers.keepalive, p.staged = 0, nil
		if p.timers.zero == 0 {
			p.timers.zero = now.Mono.Add(3 * rejectAfter)
		}
		return
	}
	p.attempts++
	p.beginHandshake(now, true)
}
