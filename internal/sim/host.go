package sim

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/key"
)

// Port is the port on which every host listens.
const Port = 51820

// A Host is a simulated host with a tunnel. The fields up to Arrived may be changed
// at any time.
type Host struct {
	Cores     int                     // number of cores for Diffie-Hellman jobs
	JobTime   time.Duration           // of one job
	JobJitter time.Duration           // maximum additional time of a job
	Together  int                     // number of products of jobs that take the time of one; 0: one
	CoreDelay time.Duration           // maximum delay before the machine runs
	Wall      time.Duration           // error of the wall clock
	Refuse    func(d *Datagram) error // returns the error of the socket; nil: there are none
	GRO       bool                    // the socket joins datagrams that arrive together
	Forgetful bool                    // Got and Sent are not kept
	Arrived   func(Packet)            // is called after each packet from the tunnels, if set
	Events    func(conf.Event)        // is called for each event of a peer, as that of engine, if set
	Output    func(*core.Output)      // is called for each output of the machine, if set

	Name           int
	Private        key.Private
	Inner4, Inner6 netip.Addr // its addresses in the tunnels
	Disk           Disk

	Got    []Packet   // from its tunnels
	Sent   []Datagram // passed to the socket, including refused ones
	Counts Counts

	Machine *core.Machine
	Index   *index.Table
	Gate    *cookie.Gate
	Drops   *dataplane.Drops

	Counters *dataplane.Counters
	Shared   *dataplane.Shared
	Unknown  *unknown.Table

	known     key.Private // the private key of public
	public    key.Public
	net       *Internet
	behind    *NAT
	addresses []netip.Addr // of its outer interface
	changes   []conf.Change
	up        bool
	awake     time.Duration // time at which it wakes up
	life      int           // restarts so far: callbacks of an earlier life have no effect

	enc       *dataplane.Encapsulator
	sealing   *dataplane.SealJob
	dec       *dataplane.Decapsulator
	opening   *dataplane.OpenJob
	inbox     *driver.Inbox
	delivery  driver.Delivery
	jobs      driver.Jobs
	waiting   []*Datagram // arrived, not read yet
	scheduled bool        // runMachine is going to be called
	timer     time.Duration
	buf       []byte
}

// Counts are also kept for forgetful hosts.
type Counts struct {
	Sent, Received           [wire.TypeData + 1]int // datagrams by type; 0: not of the protocol
	SentBytes, ReceivedBytes int
	Refused                  int // of those sent
	Packets                  int // from tunnels
}

// NewHost returns a host with outer addresses, IPv4 or IPv6, that is down and
// has no peers.
func (n *Internet) NewHost(addresses ...string) *Host {
	h := n.newHost()
	for _, a := range addresses {
		h.addresses = append(h.addresses, netip.MustParseAddr(a))
		n.nodes[h.addresses[len(h.addresses)-1]] = h
	}
	return h
}

// NewHostBehind returns a host whose only address is behind a NAT.
func (n *Internet) NewHostBehind(nat *NAT, address string) *Host {
	h := n.newHost()
	h.behind = nat
	h.addresses = []netip.Addr{netip.MustParseAddr(address)}
	nat.inside[h.addresses[0]] = h
	return h
}

func (n *Internet) newHost() *Host {
	i := len(n.Hosts) + 1
	h := &Host{
		Cores: 1, GRO: true, Name: i, net: n,
		Inner4: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}),
		Inner6: netip.AddrFrom16([16]byte{0: 0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}),
		Disk:   Disk{Received: make(map[key.Public]wire.TAI64N)},
	}
	var secret [32]byte
	_, _ = io.ReadFull(n.random(uint64(i)), secret[:])
	h.Private = key.NewPrivate(&secret)
	n.Hosts = append(n.Hosts, h)
	h.begin()
	h.Must(conf.Change{PrivateKey: &h.Private})
	return h
}

// random returns a generator determined by the seed of the internet and i.
func (n *Internet) random(i uint64) *rand.ChaCha8 {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], n.seed)
	binary.LittleEndian.PutUint64(seed[8:], i)
	return rand.NewChaCha8(seed)
}

// begin starts the process of the tunnel: a machine that has read the disk, and a
// data plane.
func (h *Host) begin() {
	h.life++
	random := h.net.random(uint64(h.Name) | uint64(h.life)<<32)
	h.Index = index.New()
	h.Drops, h.Counters = &dataplane.Drops{}, &dataplane.Counters{}
	h.Unknown = unknown.New()
	h.Unknown.CountDrops = func(n int) { h.Drops.Add(dataplane.DropNoPeer, n) }
	h.Machine = core.New(core.Options{Rand: random, Index: h.Index, Unknown: h.Unknown, Ceiling: h.Disk.Ceiling, Received: h.Disk.Received})
	h.Gate = cookie.NewGate(key.Public{}, random)
	h.Shared = &dataplane.Shared{
		Notes: (*notes)(h), Offloads: func() packet.Offloads { return packet.Offloads{TCP: true, UDP: true} },
		Routes: h.Machine.Routes(), Index: h.Index, Drops: h.Drops, Counters: h.Counters, Unknown: h.Unknown,
	}
	h.Shared.MTU.Store(1420)
	h.Shared.Port.Store(Port)
	h.enc = dataplane.NewEncapsulator(h.Shared, (*tun)(h), (*socket)(h))
	h.dec = dataplane.NewDecapsulator(h.Shared, (*tun)(h), h.admit)
	if h.net.sealing == nil {
		h.net.sealing = h.enc.NewJob()
	}
	h.sealing, h.opening = h.net.sealing, nil
	h.inbox, h.delivery, h.jobs = driver.NewInbox(Capacity), driver.Delivery{}, driver.Jobs{Together: h.Together}
	h.waiting, h.timer, h.scheduled = nil, 0, false
}

// Addr returns the address at which others reach the host: its first one, or that
// of its NAT.
func (h *Host) Addr() netip.AddrPort {
	if h.behind != nil {
		return netip.AddrPortFrom(h.behind.public, Port)
	}
	return netip.AddrPortFrom(h.addresses[0], Port)
}

// Public returns the host's public key.
func (h *Host) Public() key.Public {
	if !h.Private.Equal(h.known) {
		h.known, h.public = h.Private, h.Private.Public()
	}
	return h.public
}

// Time returns the readings of the host's clocks.
func (h *Host) Time() clock.Now {
	return clock.Now{Mono: h.mono(), Wall: Epoch.Add(h.net.now + h.Wall)}
}

func (h *Host) mono() clock.Time { return boot(h.Name).Add(h.net.now) }

// Move replaces the outer addresses of the host with a single one.
func (h *Host) Move(address string) {
	for _, a := range h.addresses {
		if h.behind != nil {
			delete(h.behind.inside, a)
		} else {
			delete(h.net.nodes, a)
		}
	}
	h.behind = nil
	h.addresses = []netip.Addr{netip.MustParseAddr(address)}
	h.net.nodes[h.addresses[0]] = h
}

// Sleep suspends the host: nothing runs, nothing is received, but its clocks advance.
func (h *Host) Sleep(d time.Duration) {
	h.awake = h.net.now + d
	h.net.After(d, h.schedule)
}

func (h *Host) asleep() bool { return h.net.now < h.awake }

// Apply changes the configuration as engine's Apply does.
func (h *Host) Apply(c conf.Change) error {
	err := h.Machine.Apply(h.Time(), c)
	h.schedule()
	if err == nil {
		h.Gate.SetKey(h.Machine.PublicKey())
		h.Gate.SetForce(h.Machine.Tunables().ForceUnderload)
		h.changes = append(h.changes, c)
	}
	h.net.settle()
	return err
}

// Must is Apply for a change that must succeed.
func (h *Host) Must(c conf.Change) {
	if err := h.Apply(c); err != nil {
		panic("sim: " + err.Error())
	}
}

// Lend is Apply for a change that the next process does not know: one of lent peers, which
// are in no file.
func (h *Host) Lend(c conf.Change) error {
	kept := h.changes
	err := h.Apply(c)
	h.changes = kept
	return err
}

// Up opens the socket and brings the machine up.
func (h *Host) Up() {
	h.up = true
	h.Machine.SetListenPort(Port)
	h.Machine.Up(h.Time())
	h.schedule()
	h.net.settle()
}

// Down brings the machine down and closes the socket.
func (h *Host) Down() {
	h.Machine.Down(h.Time())
	h.up = false
	for _, p := range driver.Quench((*effects)(h), h.Machine) {
		driver.Purge(h.Drops, p)
	}
	h.schedule()
	h.net.settle()
}

// Restart ends the process and starts another one with the same configuration. Only
// an orderly end writes to disk what is not there yet.
func (h *Host) Restart(orderly bool) {
	up := h.up
	if orderly {
		h.close()
	}
	h.Disk.pending = nil // lost in a crash
	h.up = false
	h.begin()
	changes := h.changes
	h.changes = nil
	for _, c := range changes {
		h.Must(c)
	}
	if up {
		h.Up()
	}
}

// close ends the process as engine's Close does.
func (h *Host) close() {
	h.Down()
	h.inbox.Take(&h.delivery, 0)
	h.delivery.Finish(h.Machine, h.Time())
	for _, j := range h.jobs.Clear() {
		h.Machine.Discard(j)
	}
	driver.Quench((*effects)(h), h.Machine)
	h.Machine.Close()
	h.Gate.Erase()
	h.Disk.write()
	h.Disk.Ceiling = h.Machine.LastStamp()
}

// About returns this host as another one configures it: public key, inner addresses,
// and the endpoint unless it is behind a NAT.
func (h *Host) About() conf.PeerChange {
	c := conf.PeerChange{
		PublicKey: h.Public(),
		AllowedIPs: []conf.AllowedIPChange{
			{Prefix: netip.PrefixFrom(h.Inner4, 32)},
			{Prefix: netip.PrefixFrom(h.Inner6, 128)},
		},
	}
	if h.behind == nil {
		end := h.Addr()
		c.Endpoint = &end
	}
	return c
}

// Join makes two hosts peers of each other.
func Join(a, b *Host) {
	a.Must(conf.Change{Peers: []conf.PeerChange{b.About()}})
	b.Must(conf.Change{Peers: []conf.PeerChange{a.About()}})
}

// Pair returns two new hosts that are up and have only each other as a peer.
func (n *Internet) Pair() (a, b *Host) {
	a, b = n.NewHost("192.0.2.1"), n.NewHost("198.51.100.2")
	Join(a, b)
	a.Up()
	b.Up()
	return a, b
}

// Peer returns the peer that is another host, or nil if there is none.
func (h *Host) Peer(other *Host) *peer.Peer {
	public := other.Public()
	for i, s := range h.Machine.Status(h.Time()).Peers {
		if s.PublicKey == public {
			return h.Machine.Peers()[i]
		}
	}
	return nil
}

// Status returns the status of the peer that is another host.
func (h *Host) Status(other *Host) conf.PeerStatus {
	public := other.Public()
	for _, s := range h.Machine.Status(h.Time()).Peers {
		if s.PublicKey == public {
			return s
		}
	}
	return conf.PeerStatus{}
}

// Send sends a packet to another host's inner IPv4 address through the tunnel.
func (h *Host) Send(to *Host, payload string) {
	h.Give(Inner(h.Inner4, to.Inner4, []byte(payload), 0))
}

// Give passes frames to the tunnel in one batch, as one read of the interface does.
func (h *Host) Give(frames ...[]byte) {
	if h.asleep() {
		return
	}
	h.enc.Encapsulate(h.sealing, h.mono(), frames)
	h.net.settle()
}

// Payloads returns the payloads of Got.
func (h *Host) Payloads() []string {
	list := make([]string, len(h.Got))
	for i := range h.Got {
		list[i] = h.Got[i].Payload
	}
	return list
}

// SentOf returns the datagrams in Sent of one type, oldest first.
func (h *Host) SentOf(t wire.Type) (list []Datagram) {
	for _, d := range h.Sent {
		if d.Type() == t {
			list = append(list, d)
		}
	}
	return list
}

// Forget empties Got and Sent.
func (h *Host) Forget() { h.Got, h.Sent = nil, nil }

// NoticeChange tells the machine about all peers in use that the network has changed,
// as engine does for those to which packets leave another way.
func (h *Host) NoticeChange() { h.notice(h.mono(), false) }

// Suspend is Sleep, after which the machine is told about it.
func (h *Host) Suspend(d time.Duration) {
	before := h.mono()
	h.awake = h.net.now + d
	h.net.After(d, func() { h.notice(before, true) })
}

func (h *Host) notice(usable clock.Time, resumed bool) {
	for _, p := range h.Machine.InUse(usable) {
		h.Machine.NetworkChanged(h.Time(), p, h.mono(), resumed)
	}
	h.schedule()
}
