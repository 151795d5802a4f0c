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
	s.Reserve(len(m.members))
	s.Copy(m, now, len(m.members))
	return s.Status
}

// A Snapshot is a status that is copied in parts, so that the machine can do other work
// between them. It has the configuration of one moment (A60), and of each peer the
// state of the moment at which the peer was copied.
type Snapshot struct {
	// Status is valid when Copy has returned true.
	Status conf.Status

	walk walk
}

// Reserve makes room for that many peers, before Copy needs it while the
// machine waits.
func (s *Snapshot) Reserve(peers int) { s.Status.Peers = make([]conf.PeerStatus, 0, peers) }

// Copy copies up to n more peers, and reports whether the Snapshot is complete.
func (s *Snapshot) Copy(m *Machine, now clock.Now, n int) (complete bool) {
	begin := func() {
		s.Status.Erase()
		s.Status.Peers = s.Status.Peers[:0]
	}
	if !s.walk.visit(m, n, begin, func(p *member) { s.Status.Peers = append(s.Status.Peers, p.status(now)) }) {
		return false
	}
	m.copyInterface(&s.Status, now)
	return true
}

// copyInterface copies everything but the peers.
func (m *Machine) copyInterface(s *conf.Status, now clock.Now) {
	s.PrivateKey = m.private.Clone()
	s.PublicKey = m.PublicKey()
	s.ListenPort = m.port
	s.FirewallMark = m.mark
	s.NoMSSClamp = m.keepMSS
	s.Up = m.up
	s.Tunables = m.tunables
	s.Observations = m.observed.AppendStatus(nil, now)
}

// PeerCount returns the number of peers.
func (m *Machine) PeerCount() int { return len(m.members) }

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
