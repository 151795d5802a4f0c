package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/pathmtu"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// pathPair returns a pair of hosts. A follows its routes, and so looks for the MTU of the
// path, which is set by narrowTo. B answers pings.
func pathPair() (n *Internet, a, b *Host) {
	n = New(1) // not newChecked: probes are not padded to a multiple of 16
	a, b = n.Pair()
	follow(a, b)
	answerPings(b)
	return n, a, b
}

// follow tells a that the first link on its route to b has an MTU of 1500.
func follow(a, b *Host) {
	a.Machine.Common().SetChanges(&peer.Changes{})
	a.Peer(b).Location().SetRoute(&peer.Route{Found: true, MTU: 1500}, 0)
}

// answerPings makes h reply to the echo requests that it gets.
func answerPings(h *Host) {
	h.Arrived = func(p Packet) {
		if e, ok := request(p); ok {
			frame := make([]byte, packet.MaxEchoFrame)
			h.Give(frame[:e.PutReply(frame)])
		}
	}
}

// connect sends a SYN to another host, which is a reason to look for the MTU of the path.
func connect(a, b *Host) {
	frame := Inner(a.Inner4, b.Inner4, make([]byte, 12), 0)
	p := frame[packet.VirtioHeaderSize:]
	p[9], p[20+12], p[20+13] = 6, 5<<4, 2
	a.Give(frame)
}

// request returns the echo request that p is.
func request(p Packet) (e packet.Echo, ok bool) {
	const size = 20 + 8 + 8
	if t := p.Payload; !p.UDP && len(t) == size && t[20] == 8 {
		e = packet.Echo{From: p.From, To: p.To, ID: uint16(t[24])<<8 | uint16(t[25]), Sequence: uint16(t[26])<<8 | uint16(t[27])}
		for _, c := range []byte(t[28:]) {
			e.Token = e.Token<<8 | uint64(c)
		}
		return e, true
	}
	return e, false
}

func (n *Internet) narrowTo(mtu int) { n.Default.MTU, n.Default.NoFragments = mtu, true }

// large returns how many large datagrams h has sent.
func (h *Host) large() (count int) {
	for _, d := range h.SentOf(wire.TypeData) {
		if len(d.Data) > 1000 {
			count++
		}
	}
	return count
}

func wantPath(t *testing.T, when string, a, b *Host, mtu int, source conf.PathMTUSource) {
	t.Helper()
	if s := a.Status(b); s.PathMTU != mtu || s.PathMTUSource != source {
		t.Errorf("%s: the MTU of the path is %d (%q), want %d (%q)", when, s.PathMTU, s.PathMTUSource, mtu, source)
	}
}

// The first packet to a peer lets the machine look for the MTU of the path. What it finds
// stays while there is no traffic, is checked while there is, and belongs to the endpoint.
// The answers do not reach the interface. // A46
func TestPathMTUByProbes(t *testing.T) {
	n, a, b := pathPair()
	n.narrowTo(1400)
	a.Send(b, "x")
	n.Run(3 * time.Second)
	wantPath(t, "after a small packet", a, b, 1400, conf.PathMTUByProbe)
	if len(a.Got) != 0 {
		t.Errorf("%d packets reach A's interface", len(a.Got))
	}
	if !slices.ContainsFunc(b.Got, func(p Packet) bool { return isTooBig(p, a) }) {
		t.Error("B's side is not told what the path carries")
	}
	n.narrowTo(1300)
	n.Run(time.Hour)
	wantPath(t, "after an hour of silence", a, b, 1400, conf.PathMTUByProbe)
	a.Send(b, "x")
	n.Run(5 * time.Second)
	wantPath(t, "after the path has become narrower", a, b, 1300, conf.PathMTUByProbe)
	n.narrowTo(1500)
	for range 11 {
		n.Run(time.Minute)
		a.Send(b, "x")
	}
	n.Run(5 * time.Second)
	wantPath(t, "after the path has become wider", a, b, 0, "")
	n.narrowTo(1280)
	n.Run(time.Minute)
	a.Give(Inner(a.Inner4, b.Inner4, make([]byte, 1372), 0))
	n.Run(5 * time.Second)
	wantPath(t, "after a large packet on a narrow path", a, b, 1280, conf.PathMTUByProbe)
	b.Move("198.51.100.9")
	b.Send(a, "y")
	n.Run(time.Millisecond * 50)
	wantPath(t, "at another endpoint", a, b, 0, "")
}

// Small packets over a path that is known to carry all of them cause no probes but one at
// first, and neither does silence. // B9
func TestProbesAreRare(t *testing.T) {
	n, a, b := pathPair()
	a.Send(b, "x")
	n.Run(time.Second)
	wantPath(t, "on a wide path", a, b, 0, "")
	if got := a.large(); got != 1 {
		t.Errorf("%d probes at first, want 1", got)
	}
	a.Forget()
	for range 3600 {
		n.Run(time.Second)
		a.Send(b, "x")
	}
	if got := a.large(); got != 0 {
		t.Errorf("%d probes within an hour of small packets", got)
	}
	for range 600 {
		n.Run(time.Second)
		a.Give(Inner(a.Inner4, b.Inner4, make([]byte, 1300), 0))
	}
	if got := a.large() - 600; got < 50 || got > 60 {
		t.Errorf("%d probes within ten minutes of large packets, want one in ten seconds", got)
	}
	a.Forget()
	n.Run(time.Hour)
	if got := a.large(); got != 0 {
		t.Errorf("%d probes within an hour of silence", got)
	}
}

// A peer that does not answer is asked less and less often, and never with all sizes. One
// that is silent altogether gets no probes: there is no session.
func TestProbesWithoutAnswer(t *testing.T) {
	n, a, b := pathPair()
	n.narrowTo(1280)
	n.Path = func(d *Datagram) Path {
		p := n.Default
		if d.From == b.Addr() && d.Type() == wire.TypeData && len(d.Data) > wire.MinDataSize {
			p.Loss = 1
		}
		return p
	}
	for range 3600 {
		connect(a, b)
		n.Run(time.Second)
	}
	wantPath(t, "without an answer", a, b, 0, "")
	if got := a.large(); got < 8 || got > 60 {
		t.Errorf("%d probes within an hour", got)
	}
	b.Down()
	n.Run(5 * time.Minute)
	a.Forget()
	for range 600 {
		connect(a, b)
		n.Run(time.Second)
	}
	if got := a.large(); got != 0 {
		t.Errorf("%d probes to a peer that is down", got)
	}
}

// Where no host behind a peer answers, its keepalives do, in pauses: then the MTU of the path
// is known within a minute. New TCP connections are cautious until then. The answers cost the
// interface nothing, and begin no handshake. // A46
func TestProbesInPauses(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		mtu, found int
	}{
		{"wide, over IPv4", "192.0.2.1", "198.51.100.2", 1500, 0},
		{"narrow, over IPv4", "192.0.2.1", "198.51.100.2", 1400, 1280},
		{"wide, over IPv6", "2001:db8::1", "2001:db8:1::2", 1500, 0},
		{"narrow, over IPv6", "2001:db8::1", "2001:db8:1::2", 1280, 1280},
	} {
		n := New(1)
		a, b := n.NewHost(c.a), n.NewHost(c.b)
		Join(a, b)
		a.Up()
		b.Up()
		follow(a, b)
		n.narrowTo(c.mtu)
		connect(a, b)
		n.Run(5 * time.Second)
		at := a.Peer(b).Location()
		wantPath(t, c.name+", at first", a, b, 0, "")
		if !a.Peer(b).Unproven(at) {
			t.Errorf("%s: new connections are not cautious", c.name)
		}
		a.Forget()
		n.Run(70 * time.Second)
		if source := map[int]conf.PathMTUSource{1280: conf.PathMTUByProbe}[c.found]; true {
			wantPath(t, c.name, a, b, c.found, source)
		}
		if a.Peer(b).Unproven(at) {
			t.Errorf("%s: nothing was found out", c.name)
		}
		if got := a.large(); got > 3 {
			t.Errorf("%s: %d large probes", c.name, got)
		}
		if got := a.SentOf(wire.TypeInitiation); len(got) != 0 || len(a.Got) != 0 {
			t.Errorf("%s: %d initiations, and %d packets at the interface", c.name, len(got), len(a.Got))
		}
		a.Forget()
		n.Run(time.Hour)
		if got := a.large(); got != 0 || a.Machine.NextTimeout() != clock.Never {
			t.Errorf("%s: %d probes within an hour of silence, and something is due at %v", c.name, got, a.Machine.NextTimeout())
		}
		if told := slices.ContainsFunc(b.Got, func(p Packet) bool { return isTooBig(p, a) }); told != (c.found != 0) {
			t.Errorf("%s: B's side was told what the path carries: %v", c.name, told)
		}
	}
}

// isTooBig reports whether p is "packet too big" from a, over IPv4.
func isTooBig(p Packet, a *Host) bool {
	return !p.UDP && p.From == a.Inner4 && p.Payload[20] == 3 && p.Payload[21] == 4
}

// What was found in pauses is checked, while there are sessions, every ten minutes: a path that
// has become narrow or wide is noticed. A peer at another endpoint is asked anew.
func TestProbesInPausesAgain(t *testing.T) {
	n, a, b := pathPair()
	b.Arrived = nil
	n.narrowTo(1400)
	use := func(minutes int) {
		for range minutes {
			connect(a, b)
			n.Run(time.Minute)
		}
	}
	use(2)
	wantPath(t, "a narrow path", a, b, 1280, conf.PathMTUByProbe)
	n.narrowTo(1500)
	use(9)
	wantPath(t, "too early", a, b, 1280, conf.PathMTUByProbe)
	use(4)
	wantPath(t, "a path that has become wide", a, b, 0, "")
	n.narrowTo(1300)
	use(13)
	wantPath(t, "a path that has become narrow", a, b, 1280, conf.PathMTUByProbe)
	use(13)
	b.Move("198.51.100.9")
	b.Send(a, "y")
	n.Run(time.Second)
	wantPath(t, "at another endpoint", a, b, 0, "")
	a.Forget()
	n.Run(time.Minute)
	if got := a.large(); got != 0 {
		t.Errorf("%d probes to another endpoint, where none was without an answer", got)
	}
	follow(a, b)
	use(2)
	wantPath(t, "at another endpoint, later", a, b, 1280, conf.PathMTUByProbe)
}

// What a peer has answered before its hosts ceased to answer is what is assumed at first, but
// not for ever.
func TestProbesInPausesAfterAnswers(t *testing.T) {
	n, a, b := pathPair()
	use := func(minutes int) {
		for range minutes {
			connect(a, b)
			n.Run(time.Minute)
		}
	}
	n.narrowTo(1360)
	use(1)
	wantPath(t, "while there are answers", a, b, 1360, conf.PathMTUByProbe)
	b.Arrived = nil
	use(13)
	wantPath(t, "without answers", a, b, 1360, conf.PathMTUByProbe)
	n.narrowTo(1500)
	use(13)
	wantPath(t, "a path that has become wide", a, b, 0, "")
	n.narrowTo(1300)
	use(13)
	wantPath(t, "a path that has become narrower", a, b, 1280, conf.PathMTUByProbe)
}

// The size that is asked for in pauses follows the first link. Nothing is asked at another
// endpoint, nor if probes are turned off meanwhile.
func TestProbesInPausesStop(t *testing.T) {
	n, a, b := pathPair()
	b.Arrived = nil
	longest := func(change func()) (size int) {
		connect(a, b)
		n.Run(5 * time.Second) // a search that is not answered
		change()
		a.Forget()
		n.Run(time.Minute)
		for _, d := range a.SentOf(wire.TypeData) {
			size = max(size, len(d.Data))
		}
		return size
	}
	for _, mtu := range []int{1400, 1480, 1300} {
		a.Peer(b).Location().SetRoute(&peer.Route{Found: true, MTU: mtu}, 0)
		n.Run(time.Minute)
		if got := longest(func() {}) + 28; got != mtu {
			t.Errorf("the first link carries %d, and a probe has %d bytes", mtu, got)
		}
	}
	for name, change := range map[string]func(){
		"another endpoint": func() { b.Move("198.51.100.9"); b.Send(a, "y") },
		"probes are turned off": func() {
			off := false
			a.Must(conf.Change{Tunables: conf.TunablesChange{PathMTUProbes: &off}})
		},
	} {
		n, a, b = pathPair()
		b.Arrived = nil
		if got := longest(change); got > 100 {
			t.Errorf("%s: a datagram of %d bytes", name, got)
		}
	}
}

// Probes can be turned off, also during a search.
func TestProbesTurnedOff(t *testing.T) {
	n, a, b := pathPair()
	n.narrowTo(1280)
	off := false
	a.Must(conf.Change{Tunables: conf.TunablesChange{PathMTUProbes: &off}})
	a.Give(Inner(a.Inner4, b.Inner4, make([]byte, 1300), 0))
	n.Run(time.Minute)
	if got := a.large(); got != 1 {
		t.Errorf("%d large datagrams, want the packet only", got)
	}
	on := true
	a.Must(conf.Change{Tunables: conf.TunablesChange{PathMTUProbes: &on}})
	connect(a, b)
	n.Run(100 * time.Millisecond)
	a.Down()
	a.Up()
	follow(a, b)
	connect(a, b)
	n.Run(time.Minute)
	wantPath(t, "after down and up", a, b, 1280, conf.PathMTUByProbe)
}

// With many peers on narrow paths at once, the searches of few are in progress at a time,
// and all are found in the end.
func TestManySearches(t *testing.T) {
	const peers = 400
	n := New(1)
	n.narrowTo(1280)
	a := n.NewHost("192.0.2.1")
	a.Up()
	var others []*Host
	for i := range peers {
		b := n.NewHost(fmt.Sprintf("198.51.%d.%d", 100+i/200, i%200+1))
		Join(a, b)
		b.Up()
		others = append(others, b)
		follow(a, b)
		answerPings(b)
	}
	for _, b := range others {
		connect(a, b)
	}
	searching := 0
	for range 100 {
		n.Run(20 * time.Millisecond)
		now := 0
		for _, p := range a.Machine.Peers() {
			if p.Location().Probing() != nil {
				now++
			}
		}
		searching = max(searching, now)
	}
	if searching == 0 || searching > 256 {
		t.Errorf("%d searches at once", searching)
	}
	for range 30 {
		n.Run(time.Second)
		for _, b := range others {
			connect(a, b)
		}
	}
	for i, b := range others {
		if s := a.Status(b); s.PathMTU != pathmtu.Minimum6 {
			t.Fatalf("peer %d: the MTU is %d", i, s.PathMTU)
		}
	}
}
