package sim

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
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

// The first TCP connection to a peer lets the machine look for the MTU of the path. What it finds
// stays while there is no traffic, is checked while there is, and belongs to the endpoint.
// The answers do not reach the interface. // A46
func TestPathMTUByProbes(t *testing.T) {
	n, a, b := pathPair()
	n.narrowTo(1400)
	a.Send(b, "x")
	n.Run(3 * time.Second)
	wantPath(t, "after a small packet", a, b, 0, "")
	connect(a, b)
	n.Run(3 * time.Second)
	wantPath(t, "after 3 seconds", a, b, 1400, conf.PathMTUByProbe)
	if len(a.Got) != 0 {
		t.Errorf("%d packets reach A's interface", len(a.Got))
	}
	told := false
	for _, p := range b.Got {
		told = told || !p.UDP && p.From == a.Inner4 && p.Payload[20] == 3 && p.Payload[21] == 4
	}
	if !told {
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

// Small packets over a path that is known to carry all of them cause no probes, and neither
// does silence. // B9
func TestProbesAreRare(t *testing.T) {
	n, a, b := pathPair()
	connect(a, b)
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
