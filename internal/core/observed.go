package core

import (
	"net/netip"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/observe"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// observe records something that was seen of the peer, from or to an endpoint. It
// happens at the rate of handshakes, not of packets.
func (p *member) observe(now clock.Now, kind conf.ObservationKind, at wire.Endpoint) {
	p.observed.Add(now.Mono, observe.Event{Kind: kind, Address: at.Remote})
}

// NoteSendFailed records that a handshake message of ours could not be sent. name is
// the name of the system's error.
func (m *Machine) NoteSendFailed(now clock.Now, shared *peer.Peer, to wire.Endpoint, name string) {
	if p := known(shared); p != nil {
		p.observed.Add(now.Mono, observe.Event{Kind: conf.SendFailed, Address: to.Remote, Detail: name})
	}
}

// forgetTrouble forgets everything that was seen while there was no session.
func (p *member) forgetTrouble() { p.observed.Keep(conf.AllowedIPTaken) }

func (p *member) observations(now clock.Now) []conf.Observation {
	list := p.observed.AppendStatus(nil, now)
	if r, ok := p.shared.RefusedSource(); ok {
		list = append(list, conf.Observation{
			Kind: conf.SourceRefused, Count: r.Count, First: observe.WallTime(now, r.First), Last: observe.WallTime(now, r.Last),
			Address: netip.AddrPortFrom(r.Address, 0),
		})
	}
	return list
}
