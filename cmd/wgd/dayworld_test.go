package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/sim"
	"wgd/key"
)

const (
	dayName     = "wg0"
	dayLogLimit = 1 << 20
)

// A day is a simulated day of a gateway and its peers: real tunnels in virtual time.
type day struct {
	t       testing.TB
	random  *rand.Rand
	net     *sim.Internet
	gateway *sim.Host
	length  time.Duration
	peers   []*dayPeer
	daemon  *dayDaemon // the present one
	runs    int
	watch   *dayWatch
	truth   *dayTruth
	busy    bool // the gateway is suspended, or no daemon runs
}

// A dayPeer is a host that is, or was, a peer of the gateway.
type dayPeer struct {
	day       *day
	name      string
	host      *sim.Host
	nat       *sim.NAT
	path      sim.Path
	keepalive uint16         // the persistent one
	preshared *key.Preshared // as the host has it
	gone      bool           // it is not there, and sends nothing
}

// newDay makes the gateway and its peers.
func newDay(t testing.TB, seed uint64, length time.Duration) *day {
	d := &day{t: t, random: rand.New(rand.NewPCG(seed, 7)), net: sim.New(seed), length: length}
	d.gateway = d.net.NewHost("192.0.2.1")
	d.configure(d.gateway)
	off := false
	d.gateway.Must(conf.Change{Tunables: conf.TunablesChange{PathMTUProbes: &off}}) // the truth takes probes for data
	// Long ago, so that the command has all of the day behind it.
	d.gateway.Wall = time.Date(2020, 2, 28, 18, 0, 0, 0, time.UTC).Sub(sim.Epoch)
	d.gateway.Events = func(e conf.Event) { d.emit(e) }
	d.truth = newDayTruth(d)
	d.watch = &dayWatch{day: d, path: filepath.Join(t.TempDir(), "log")}
	d.net.Tap = d.truth.tap
	byAddress := map[netip.Addr]*dayPeer{}
	d.net.Path = func(g *sim.Datagram) sim.Path {
		for _, a := range []netip.Addr{g.From.Addr(), g.To.Addr()} {
			if p := byAddress[a]; p != nil {
				return p.path
			}
		}
		return d.net.Default
	}
	for i, behaviour := range dayBehaviours {
		p := &dayPeer{day: d, name: fmt.Sprintf("%s%d", behaviour.name, i), path: sim.Path{Delay: time.Duration(5+d.random.IntN(150)) * time.Millisecond}}
		outer := fmt.Sprintf("198.51.100.%d", i+1)
		if behaviour.nat {
			p.nat = d.net.NewNAT(outer, d.between(time.Minute, 5*time.Minute))
			p.host = d.net.NewHostBehind(p.nat, "10.0.0.2")
		} else {
			p.host = d.net.NewHost(outer)
		}
		for last := range 4 { // where it may move
			byAddress[netip.AddrFrom4([4]byte{198, 51, byte(100 + last), byte(i + 1)})] = p
		}
		d.configure(p.host)
		d.peers = append(d.peers, p)
	}
	return d
}

func (d *day) configure(h *sim.Host) {
	h.Forgetful = true
	h.JobTime, h.JobJitter, h.CoreDelay = 100*time.Microsecond, time.Millisecond, 2*time.Millisecond
}

// between returns a random time.
func (d *day) between(min, max time.Duration) time.Duration {
	return min + time.Duration(d.random.Int64N(int64(max-min)+1))
}

// chance is true with a probability.
func (d *day) chance(p float64) bool { return d.random.Float64() < p }

// loop calls do for the first time after a random time, and then each time after what it
// returns, until it returns 0.
func (d *day) loop(do func() time.Duration) {
	var again func()
	again = func() {
		if next := do(); next > 0 {
			d.net.After(next, again)
		}
	}
	d.net.After(d.between(time.Second, 2*time.Minute), again)
}

// wall is what the clock of the gateway shows.
func (d *day) wall() time.Time { return d.gateway.Time().Wall.UTC() }

// emit has the daemon report an event.
func (d *day) emit(e conf.Event) {
	d.daemon.emit(d.net.Now(), d.gateway.Time(), e)
	d.watch.look()
}

// run lets the day pass.
func (d *day) run() {
	d.newDaemon()
	d.daemon.up = true
	d.watch.start()
	d.gateway.Up()
	d.emit(conf.Event{Kind: conf.WentUp})
	for i, behaviour := range dayBehaviours {
		p := d.peers[i]
		d.change(conf.Change{Peers: []conf.PeerChange{p.seenFromGateway()}})
		p.follow()
		behaviour.live(p)
	}
	d.net.Every(time.Second, func() bool { d.watch.look(); return true })
	d.net.After(500*time.Millisecond, func() {
		d.truth.sample()
		d.net.Every(time.Second, func() bool { d.truth.sample(); return true })
	})
	d.disturb()
	d.net.Run(d.length)
}

// change changes the gateway's configuration, as a program does.
func (d *day) change(c conf.Change) {
	d.gateway.Must(c)
	d.truth.configured()
	d.emit(conf.Event{Kind: conf.ConfigurationChanged, By: conf.Caller{PID: 7, UID: 0, Command: "wgconfig"}})
}

// seenFromGateway is the peer as the gateway has it.
func (p *dayPeer) seenFromGateway() conf.PeerChange {
	c := p.host.About()
	c.Name, c.Endpoint = &p.name, nil
	return c
}

// follow gives the host what it must know of the gateway.
func (p *dayPeer) follow() {
	c := p.day.gateway.About()
	c.PersistentKeepalive, c.PresharedKey = &p.keepalive, p.preshared
	p.host.Must(conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{c}})
}

func (p *dayPeer) send() {
	if !p.gone {
		p.host.Send(p.day.gateway, "to the gateway")
	}
}

func (p *dayPeer) receive() { p.day.gateway.Send(p.host, "from the gateway") }

// talk exchanges packets in random directions, with short pauses, and then longer ones.
func (p *dayPeer) talk(short, long time.Duration) {
	p.day.loop(func() time.Duration {
		if p.day.chance(0.6) {
			p.send()
		}
		if p.day.chance(0.5) {
			p.receive()
		}
		if p.day.chance(0.05) {
			return p.day.between(short, long)
		}
		return p.day.between(time.Second, short)
	})
}

// dayBehaviours are the peers.
var dayBehaviours = []struct {
	name string
	nat  bool
	live func(p *dayPeer)
}{
	{"site", true, (*dayPeer).site},
	{"office", false, (*dayPeer).office}, {"office", true, (*dayPeer).office},
	{"phone", true, (*dayPeer).phone}, {"phone", false, (*dayPeer).phone}, {"phone", true, (*dayPeer).phone},
	{"flaky", false, (*dayPeer).flaky},
	{"removed", false, (*dayPeer).removed},
	{"psk", false, (*dayPeer).changesPreshared},
	{"rekeyed", false, (*dayPeer).changesKey},
	{"sensor", false, (*dayPeer).sensor},
	{"ghost", false, (*dayPeer).ghost},
}

// site is always connected, with a persistent keepalive.
func (p *dayPeer) site() {
	p.keepalive = 25
	p.follow()
	p.host.Up()
	p.talk(5*time.Minute, 20*time.Minute)
}

// office is there in the day, and may suspend its computer or switch it off. The gateway
// asks for it all the time.
func (p *dayPeer) office() {
	d := p.day
	p.gone = true
	d.net.After(d.between(d.length/4, d.length/3), func() {
		p.gone = false
		p.host.Up()
	})
	d.net.After(d.between(d.length*2/3, d.length*3/4), func() {
		p.gone = true
		if d.chance(0.5) {
			p.host.Down()
		} else {
			p.host.Sleep(d.length)
		}
	})
	d.loop(func() time.Duration {
		if d.chance(0.2) && !p.gone {
			p.host.Sleep(d.between(time.Second, 20*time.Minute))
		}
		return d.between(10*time.Minute, 2*time.Hour)
	})
	d.loop(func() time.Duration {
		p.send()
		return d.between(time.Second, 5*time.Minute)
	})
	d.loop(func() time.Duration {
		p.receive()
		if p.gone {
			return d.between(10*time.Minute, 2*time.Hour)
		}
		return d.between(time.Second, 20*time.Minute)
	})
}

// phone sleeps most of the time, and has often another address when it wakes.
func (p *dayPeer) phone() {
	d := p.day
	p.host.Up()
	place := 0
	until := time.Duration(0)
	d.loop(func() time.Duration {
		if d.net.Now() < until {
			p.send()
			if d.chance(0.3) {
				p.receive()
			}
			return d.between(time.Second, 30*time.Second)
		}
		sleep := d.between(20*time.Second, time.Hour)
		p.host.Suspend(sleep)
		until = d.net.Now() + sleep + d.between(10*time.Second, 6*time.Minute)
		if d.chance(0.5) {
			if p.nat != nil {
				p.nat.Forget()
			} else {
				place = (place + 1) % 4
				address := p.host.Addr().Addr().As4()
				address[2] = byte(100 + place)
				p.host.Move(netip.AddrFrom4(address).String())
			}
		}
		return sleep + time.Millisecond
	})
}

// flaky has a path with loss and outages.
func (p *dayPeer) flaky() {
	d := p.day
	p.host.Up()
	p.talk(20*time.Second, 20*time.Minute)
	d.loop(func() time.Duration {
		p.path.Loss, p.path.Jitter = d.random.Float64()/2, d.between(0, time.Second)
		if d.chance(0.4) {
			p.path.Loss = 1
			return d.between(2*time.Second, 8*time.Minute)
		}
		return d.between(10*time.Second, 30*time.Minute)
	})
}

// removed is removed and added again.
func (p *dayPeer) removed() {
	d := p.day
	p.host.Up()
	p.talk(50*time.Second, time.Hour)
	there := true
	d.loop(func() time.Duration {
		if d.busy {
			return 20 * time.Second
		}
		there = !there
		c := p.seenFromGateway()
		c.Remove = !there
		d.change(conf.Change{Peers: []conf.PeerChange{c}})
		if there {
			return d.between(10*time.Second, 3*time.Hour)
		}
		return d.between(time.Second, 30*time.Minute)
	})
}

// changesPreshared gets another preshared key, on one side earlier than on the other.
func (p *dayPeer) changesPreshared() {
	d := p.day
	p.host.Up()
	p.talk(50*time.Second, time.Hour)
	n := byte(0)
	d.loop(func() time.Duration {
		if d.busy {
			return 20 * time.Second
		}
		n++
		secret := key.NewPreshared(&[32]byte{n, 1})
		c := p.seenFromGateway()
		c.PresharedKey = &secret
		d.change(conf.Change{Peers: []conf.PeerChange{c}})
		d.net.After(d.between(0, 10*time.Minute), func() {
			p.preshared = &secret
			p.host.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: d.gateway.Public(), PresharedKey: &secret, UpdateOnly: true}}})
		})
		return d.between(time.Hour, 4*time.Hour)
	})
}

// changesKey gets another private key, and so becomes another peer.
func (p *dayPeer) changesKey() {
	d := p.day
	p.host.Up()
	p.talk(50*time.Second, time.Hour)
	n := byte(0)
	d.loop(func() time.Duration {
		if d.busy {
			return 20 * time.Second
		}
		n++
		old := p.seenFromGateway()
		old.Remove = true
		p.host.Private = key.NewPrivate(&[32]byte{n, 2})
		d.change(conf.Change{Peers: []conf.PeerChange{old, p.seenFromGateway()}})
		d.net.After(d.between(0, 5*time.Minute), func() { p.host.Must(conf.Change{PrivateKey: &p.host.Private}) })
		return d.between(2*time.Hour, 6*time.Hour)
	})
}

// sensor sends something now and then, and gets no answer.
func (p *dayPeer) sensor() {
	p.host.Up()
	p.day.loop(func() time.Duration {
		p.send()
		return p.day.between(time.Minute, 30*time.Minute)
	})
}

// ghost is never there.
func (p *dayPeer) ghost() {
	end := p.host.Addr()
	p.day.change(conf.Change{Peers: []conf.PeerChange{{PublicKey: p.host.Public(), Endpoint: &end}}})
	p.day.loop(func() time.Duration {
		p.receive()
		return p.day.between(10*time.Minute, 3*time.Hour)
	})
}
