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
	s := conf.Status{
		PrivateKey:   m.private.Clone(),
		PublicKey:    m.PublicKey(),
		ListenPort:   m.port,
		FirewallMark: m.mark,
		NoMSSClamp:   m.keepMSS,
		Up:           m.up,
		Tunables:     m.tunables,
		Peers:        make([]conf.PeerStatus, 0, len(m.members)),
	}
	for p := m.first; p != nil; p = p.after {
		s.Peers = append(s.Peers, p.status(now))
	}
	s.Observations = m.observed.AppendStatus(nil, now)
	return s
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
