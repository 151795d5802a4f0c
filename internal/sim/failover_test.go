package sim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/key"
)

// serviceAddress is that of whichever gateway of a fleet has it.
var serviceAddress = netip.MustParseAddr("203.0.113.1")

// A fleet is gateways with one private key, and what programs beside them know of peers:
// with a store that they share.
type fleet struct {
	net      *Internet
	gateways []*Host
	store    map[key.Public]stored
	delay    time.Duration // of a look-up
}

// A stored peer is what the store has of it.
type stored struct {
	change   conf.PeerChange
	endpoint netip.AddrPort
	stamp    conf.Stamp
}

// newFleet returns n gateways that are up. The first one has the service address.
func (n *Internet) newFleet(count int) *fleet {
	f := &fleet{net: n, store: map[key.Public]stored{}, delay: 5 * time.Millisecond}
	for i := range count {
		g := n.NewHost(fmt.Sprintf("198.51.100.%d", i+1))
		if i > 0 {
			g.Private = f.gateways[0].Private
			g.Inner4, g.Inner6 = f.gateways[0].Inner4, f.gateways[0].Inner6
			g.Must(conf.Change{PrivateKey: &g.Private})
		}
		g.addresses = append(g.addresses, serviceAddress)
		g.Up()
		f.gateways = append(f.gateways, g)
		f.serve(g)
	}
	f.switchTo(f.gateways[0])
	return f
}

// switchTo lets what is sent to the service address arrive at g.
func (f *fleet) switchTo(g *Host) { f.net.nodes[serviceAddress] = g }

// client returns a client of the fleet that is up, and adds it to the store.
func (f *fleet) client(address string) *Host {
	c := f.net.NewHost(address)
	g := f.gateways[0]
	at := netip.AddrPortFrom(serviceAddress, Port)
	about := g.About()
	about.Endpoint = &at
	c.Must(conf.Change{Peers: []conf.PeerChange{about}})
	c.Up()
	peer := c.About()
	peer.Endpoint = nil
	f.store[c.Public()] = stored{change: peer}
	return c
}

// serve is the program beside a gateway: it answers wants from the store, and writes to the
// store what the gateway has learned.
func (f *fleet) serve(g *Host) {
	table, s := g.Unknown, g.Unknown.Subscribe()
	f.net.Every(time.Millisecond, func() bool {
		if g.Unknown != table { // it has restarted
			table, s = g.Unknown, g.Unknown.Subscribe()
		}
		for _, w := range wantsOf(s) {
			f.net.After(f.delay, func() { f.answer(g, w) })
		}
		if g.up {
			f.save(g)
		}
		return true
	})
}

// wantsOf returns the wants that wait for a subscriber.
func wantsOf(s *unknown.Subscriber) (list []conf.Want) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		w, ok := s.Next(ctx)
		if !ok {
			return list
		}
		list = append(list, w)
	}
}

func (f *fleet) answer(g *Host, w conf.Want) {
	public := w.Key
	for k, p := range f.store {
		if w.Kind == conf.UnknownSession && p.endpoint == w.Endpoint {
			public = k
		}
	}
	p, known := f.store[public]
	if !known {
		g.Unknown.Refuse(g.mono(), conf.Refusal{Key: w.Key, Endpoint: w.Endpoint, For: conf.MaxRefusal})
		return
	}
	c := p.change
	c.Stamp = &p.stamp
	if w.Kind == conf.UnknownSession {
		c.Endpoint, c.Initiate = &w.Endpoint, true
	}
	if err := g.Machine.Apply(g.Time(), conf.Change{Peers: []conf.PeerChange{c}}); err != nil {
		panic(err)
	}
	g.schedule()
}

func (f *fleet) save(g *Host) {
	for _, s := range g.Machine.Status(g.Time()).Peers {
		p := f.store[s.PublicKey]
		if s.Endpoint.IsValid() && !s.LastHandshake.IsZero() {
			p.endpoint = s.Endpoint
		}
		if s.Stamp.Compare(p.stamp) > 0 {
			p.stamp = s.Stamp
		}
		f.store[s.PublicKey] = p
	}
}

// A gateway dies, and the datagrams of its clients reach another one with the same private
// key. It learns each by its data, takes it with the stamp that the store has, and
// initiates from the address that the client knows. So the flows go on after less than a
// second, although the client does nothing about it for 15 seconds. When the first gateway
// is back, the same happens again.
func TestFailover(t *testing.T) {
	n := newChecked(t, 1)
	f := n.newFleet(2)
	var clients []*Host
	for i := range 5 {
		clients = append(clients, f.client(fmt.Sprintf("192.0.2.%d", i+1)))
	}
	sent := 0
	n.Every(100*time.Millisecond, func() bool {
		for i, c := range clients {
			c.Send(f.gateways[0], fmt.Sprintf("%d/%d", i, sent))
		}
		sent++
		return true
	})
	n.Run(5 * time.Second)
	for round, g := range []*Host{f.gateways[1], f.gateways[0]} {
		before := f.gateways[1-slices.Index(f.gateways, g)]
		before.Restart(false)
		before.Down()
		if !g.up {
			g.Up()
		}
		f.switchTo(g)
		g.Forget()
		first := sent
		n.Run(20 * time.Second)
		checkTakenOver(t, fmt.Sprintf("switch %d", round+1), g, clients, first, sent-2)
	}
}

// checkTakenOver checks that of the packets of each client, from first up to end, all
// but those of a second have arrived at g, and that g has begun one handshake with each.
func checkTakenOver(t *testing.T, when string, g *Host, clients []*Host, first, end int) {
	t.Helper()
	got := g.Payloads()
	for i := range clients {
		from := end
		for k := end - 1; k >= first && slices.Contains(got, fmt.Sprintf("%d/%d", i, k)); k-- {
			from = k
		}
		if from-first > 10 {
			t.Errorf("%s: the packets of client %d arrive from %d00 ms on", when, i, from-first)
		}
	}
	if list := g.SentOf(wire.TypeInitiation); len(list) != len(clients) {
		t.Errorf("%s: %d initiations for %d clients", when, len(list), len(clients))
	}
	for _, d := range g.Sent {
		if d.From.Addr() != serviceAddress {
			t.Errorf("%s: a %v was sent from %v", when, d.Type(), d.From)
		}
	}
}

// What was recorded on the way to one gateway is refused by another one that has taken the
// peer, because it gets the greatest stamp with the peer (A18). And strangers who send data
// with the address of a client cause one handshake with that client, which changes nothing.
func TestReplayToAnotherGateway(t *testing.T) {
	n := newChecked(t, 1)
	f := n.newFleet(2)
	c := f.client("192.0.2.1")
	c.Send(f.gateways[0], "x")
	n.Run(time.Second)
	recorded := c.Sent
	g := f.gateways[1]
	for range 3 {
		for _, d := range recorded {
			n.Inject(netip.MustParseAddrPort("192.0.2.66:1"), g.Addr(), d.Data)
		}
		n.Run(time.Second)
	}
	if len(g.Got) != 0 || len(g.Sent) != 0 {
		t.Errorf("a replay was answered with %v, and gave %q", types(g.Sent), g.Payloads())
	}
	for range 10 {
		for _, d := range recorded {
			n.Inject(c.Addr(), g.Addr(), d.Data)
		}
		n.Run(300 * time.Millisecond)
	}
	if got := types(g.Sent); !slices.Equal(got, []wire.Type{wire.TypeInitiation, wire.TypeData}) || len(g.Got) != 0 {
		t.Errorf("forged data was answered with %v, and gave %q", got, g.Payloads())
	}
}
