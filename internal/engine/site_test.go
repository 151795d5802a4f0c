package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/internal/clock"
	"wgd/internal/peer"
	systemclock "wgd/internal/sys/clock"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/udp/udptest"
	"wgd/key"
)

const patience = asynctest.Timeout

var (
	within     = asynctest.Within
	eventually = asynctest.Eventually
	balance    = asynctest.CheckLeaks
)

// site is one end of a tunnel: an engine with its own interface and host, on a
// network in memory.
type site struct {
	*Engine
	t       testing.TB
	tun     *tuntest.Device
	host    *udptest.Host
	outer   netip.Addr
	inner   netip.Addr
	private key.Private
	public  key.Public
	ahead   atomic.Int64 // by which its clock is ahead of the system's
	// follows is a site whose lead also applies to this clock, so that both
	// jump at the same moment. If they jumped one after the other, a session
	// could begin in between, and would be old on the second clock.
	follows atomic.Pointer[site]

	mu    sync.Mutex
	pairs []*udp.Pair // all it has listened on; the last is in use
}

// newSite returns the n-th site, with a private key, down. Its outer address is
// 192.0.2.n, its inner one 10.0.0.n.
func newSite(t testing.TB, net *udptest.Net, n byte, with ...func(*World)) *site {
	t.Helper()
	return newSiteAfter(t, net, n, Memory{}, with...)
}

// newSiteAfter is newSite for an engine that ran before and left memory.
func newSiteAfter(t testing.TB, net *udptest.Net, n byte, memory Memory, with ...func(*World)) *site {
	t.Helper()
	s := &site{
		t:     t,
		tun:   tuntest.New(fmt.Sprint("wg", n), 1420),
		outer: outer(n),
		inner: netip.AddrFrom4([4]byte{10, 0, 0, n}),
	}
	s.host = net.Host(s.outer)
	s.private, s.public = newKey(t)
	w := World{Clock: s.clock, Rand: rand.Reader, TUN: s.tun, Listen: s.listen}
	if n%2 == 1 { // test with one goroutine and with several
		spread(3)(&w)
	}
	for _, f := range with {
		f(&w)
	}
	s.Engine = Open(w, memory)
	t.Cleanup(s.Close)
	s.apply(conf.Change{PrivateKey: &s.private})
	return s
}

func outer(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }

func newKey(t testing.TB) (key.Private, key.Public) {
	t.Helper()
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, private.Public()
}

func (s *site) clock() clock.Now {
	now := systemclock.Now()
	ahead := time.Duration(s.ahead.Load())
	if other := s.follows.Load(); other != nil {
		ahead += time.Duration(other.ahead.Load())
	}
	return clock.Now{Mono: now.Mono.Add(ahead), Wall: now.Wall.Add(ahead)}
}

// sleep advances the clock of s, as if the computer had been suspended (A39).
func (s *site) sleep(d time.Duration) {
	s.ahead.Add(int64(d))
	s.inbox.ring() // the timer would do it within longestSleep
}

func (s *site) listen(port uint16, mark uint32) (Sockets, error) {
	pair, err := s.host.Listen(port, udp.Options{Mark: mark})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs = append(s.pairs, pair)
	return pair, nil
}

// conn returns the IPv4 sockets in use.
func (s *site) conn() *udptest.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pairs[len(s.pairs)-1].V4.(*udptest.Group)
}

func (s *site) apply(c conf.Change) {
	s.t.Helper()
	if err := s.Apply(c); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) up() {
	s.t.Helper()
	if err := s.Up(); err != nil {
		s.t.Fatal(err)
	}
}

// addr returns the address and port on which s listens.
func (s *site) addr() netip.AddrPort { return netip.AddrPortFrom(s.outer, s.Status().ListenPort) }

// asPeer returns the configuration of s as a peer of another site, without endpoint if s
// is down.
func (s *site) asPeer() conf.PeerChange {
	p := conf.PeerChange{
		PublicKey:  s.public,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(s.inner, 32)}},
	}
	if at := s.addr(); at.Port() != 0 {
		p.Endpoint = &at
	}
	return p
}

func peers(list ...conf.PeerChange) conf.Change { return conf.Change{Peers: list} }

// pair returns two sites that are up. Only a knows the endpoint of the other one.
func pair(t testing.TB, with ...func(*World)) (net *udptest.Net, a, b *site) {
	t.Helper()
	net = udptest.NewNet()
	a, b = newSite(t, net, 1, with...), newSite(t, net, 2)
	b.apply(peers(a.asPeer()))
	a.up()
	b.up()
	a.apply(peers(b.asPeer()))
	return net, a, b
}

// status returns the status of peer other in s.
func (s *site) status(other *site) conf.PeerStatus {
	s.t.Helper()
	for _, p := range s.Status().Peers {
		if p.PublicKey == other.public {
			return p
		}
	}
	s.t.Fatal("no such peer")
	return conf.PeerStatus{}
}

// peer returns the only peer of s.
func (s *site) peer() *peer.Peer {
	s.Engine.mu.Lock()
	defer s.Engine.mu.Unlock()
	return s.machine.Peers()[0]
}

// inject sends a packet from the host of s.
func (s *site) inject(to *site, text string) { s.tun.Inject(datagram(s.inner, to.inner, text)) }

// deliver sends a packet and waits until it has arrived.
func (s *site) deliver(to *site, text string) {
	s.t.Helper()
	s.inject(to, text)
	to.await(text)
}

// await waits for a packet with the text, and discards others.
func (s *site) await(text string) {
	s.t.Helper()
	if !s.receives(text, patience) {
		s.t.Fatalf("%q did not arrive; drops: %v", text, s.Status().Drops)
	}
}

func (s *site) receives(text string, within time.Duration) bool {
	for end := time.Now().Add(within); ; {
		raw, ok := s.tun.Next(time.Until(end))
		if !ok {
			return false
		}
		if bytes.HasSuffix(raw, []byte(text)) {
			return true
		}
	}
}

// datagram returns a UDP packet over IPv4, without a UDP checksum.
func datagram(from, to netip.Addr, text string) []byte {
	p := make([]byte, 28+len(text))
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	source, destination := from.As4(), to.As4()
	copy(p[12:], source[:])
	copy(p[16:], destination[:])
	binary.BigEndian.PutUint16(p[20:], 1000)
	binary.BigEndian.PutUint16(p[22:], 2000)
	binary.BigEndian.PutUint16(p[24:], uint16(8+len(text)))
	copy(p[28:], text)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
	return p
}

// dropped returns how many packets s has dropped for the reason.
func (s *site) dropped(reason string) uint64 {
	for _, d := range s.Status().Drops {
		if d.Reason == reason {
			return d.Count
		}
	}
	return 0
}

// oneSentence checks that err is a sentence on one line.
func oneSentence(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if text := err.Error(); strings.ContainsAny(text, "\n") || !strings.Contains(text, " ") {
		t.Errorf("the error is %q, want a sentence on one line", text)
	}
}
