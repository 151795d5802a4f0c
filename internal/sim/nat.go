package sim

import (
	"net/netip"
	"time"
)

// A NAT has one public address for all hosts behind it. Like Linux's
// masquerading, it keeps a mapping for each pair of inside and remote address,
// and accepts datagrams only from that remote address. A mapping expires if it
// is not used for Timeout; a new one gets another port.
type NAT struct {
	Timeout time.Duration

	net    *Internet
	public netip.Addr
	inside map[netip.Addr]*Host
	out    map[flow]*mapping
	in     map[uint16]*mapping
	port   uint16 // of the newest mapping
}

type flow struct{ inside, remote netip.AddrPort }

type mapping struct {
	flow
	port uint16
	used time.Duration
}

// NewNAT returns a NAT with a public address.
func (n *Internet) NewNAT(public string, timeout time.Duration) *NAT {
	nat := &NAT{
		Timeout: timeout,
		net:     n,
		public:  netip.MustParseAddr(public),
		inside:  make(map[netip.Addr]*Host),
		out:     make(map[flow]*mapping),
		in:      make(map[uint16]*mapping),
		port:    39_999,
	}
	n.nodes[nat.public] = nat
	return nat
}

// Forget drops all mappings, as if the NAT were restarted.
func (nat *NAT) Forget() {
	clear(nat.out)
	clear(nat.in)
}

func (nat *NAT) alive(m *mapping) bool { return nat.net.now-m.used < nat.Timeout }

// send forwards a datagram from an inside host.
func (nat *NAT) send(d *Datagram) {
	f := flow{d.From, d.To}
	m := nat.out[f]
	if m == nil || !nat.alive(m) {
		if m != nil {
			delete(nat.in, m.port)
		}
		nat.port++
		m = &mapping{flow: f, port: nat.port}
		nat.out[f], nat.in[m.port] = m, m
	}
	m.used = nat.net.now
	translated := *d
	translated.From = netip.AddrPortFrom(nat.public, m.port)
	nat.net.transmit(&translated)
}

// receive forwards a datagram to an inside host if there is a mapping for it.
func (nat *NAT) receive(d *Datagram) {
	m := nat.in[d.To.Port()]
	if m == nil || !nat.alive(m) || m.remote != d.From {
		return
	}
	m.used = nat.net.now
	translated := *d
	translated.To = m.flow.inside
	if h := nat.inside[m.flow.inside.Addr()]; h != nil {
		h.receive(&translated)
	}
}
