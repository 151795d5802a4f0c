package core

import (
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/peer"
)

// Status returns a copy of the machine's status, with the peers in the order of
// addition (A60). The caller fills in Name, MTU, Fault and Drops.
func (m *Machine) Status(now clock.Now) conf.Status {
	var s Snapshot
	s.Begin(m, now)
	s.Reserve()
	s.Copy(m, now, len(m.members))
	return s.Status
}

// A Snapshot is a status that is copied in parts, so that the machine can do other work
// between them. It has the configuration of the moment at which it began (A60), and of
// each peer the state of the moment at which the peer was copied.
type Snapshot struct {
	// Status is valid when Copy has returned true.
	Status conf.Status

	peers int
	now   clock.Now
	walk  walk
}

// Begin chooses the moment whose configuration the Snapshot has. After it, Reserve must
// be called, and then Copy until it returns true.
func (s *Snapshot) Begin(m *Machine, now clock.Now) {
	m.copyInterface(&s.Status, now)
	s.peers, s.now = len(m.members), now
	m.beginWalk(&s.walk, s)
}

// Reserve allocates the memory for the peers. The machine need not wait for it.
func (s *Snapshot) Reserve() { s.Status.Peers = make([]conf.PeerStatus, 0, s.peers) }

// Copy copies up to n more peers, and reports whether the Snapshot is complete.
func (s *Snapshot) Copy(m *Machine, now clock.Now, n int) (complete bool) {
	s.now = now
	return s.walk.visit(m, n)
}

func (s *Snapshot) visit(p *member) { s.Status.Peers = append(s.Status.Peers, p.status(s.now)) }

func (s *Snapshot) save(p *member) func() {
	saved := p.status(s.now)
	return func() { s.Status.Peers = append(s.Status.Peers, saved) }
}

// copyInterface copies everything but the peers.
func (m *Machine) copyInterface(s *conf.Status, now clock.Now) {
	s.PrivateKey = m.private.Clone()
	s.PublicKey = m.PublicKey()
	s.ListenPort = m.port
	s.FirewallMark = m.mark
	s.NoMSSClamp = m.keepMSS
	s.LentLimit = m.lentLimit
	s.Up = m.up
	s.Tunables = m.tunables
	s.Observations = m.observed.AppendStatus(nil, now)
}

func (p *member) status(now clock.Now) conf.PeerStatus {
	mtu, source := p.shared.Location().PathMTU(now.Mono)
	s := conf.PeerStatus{
		PublicKey:           p.public(),
		Name:                p.name,
		PresharedKey:        p.preshared.Clone(),
		Endpoint:            p.shared.Endpoint().Remote,
		PathMTU:             mtu,
		PathMTUSource:       pathSources[source],
		EndpointName:        p.endpoint.text,
		Stamp:               conf.Stamp(p.accepted),
		Lent:                uint32(p.lease.life / time.Second),
		PersistentKeepalive: uint16(p.shared.PersistentKeepalive() / time.Second),
		AllowedIPs:          slices.Clone(p.allowed),
	}
	if p.completedWall != 0 {
		s.LastHandshake = time.Unix(0, p.completedWall)
	}
	s.RxBytes, s.TxBytes = p.shared.Bytes()
	s.Observations = p.observations(now)
	return s
}

var pathSources = [...]conf.PathMTUSource{
	peer.FromRoute: conf.PathMTUOfRoute,
	peer.FromICMP:  conf.PathMTUByICMP,
	peer.FromProbe: conf.PathMTUByProbe,
}
