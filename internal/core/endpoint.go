package core

import (
	"net/netip"

	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// A Resolver follows the names of endpoints: a follow.Follower. The machine calls it
// under the lock that protects the machine, so no method may wait.
type Resolver interface {
	Set(id key.Public, name string, port uint16, current netip.AddrPort)
	Remove(id key.Public)
	Heard(id key.Public, from netip.AddrPort)
	Silent(id key.Public)
	// While it is paused, it looks up each name once only.
	Pause()
	Resume()
	// Unanswered and Refused return the endpoint to try next, if there is another one.
	Unanswered(id key.Public) (netip.AddrPort, bool)
	Refused(id key.Public) (netip.AddrPort, bool)
}

// named is the endpoint of a peer that was configured by name.
type named struct {
	text     string         // HOST:PORT; "": the peer has no name to follow
	known    netip.AddrPort // the endpoint that the Resolver believes to be in use
	silent   clock.Time     // when the Resolver was last told that the peer is silent; 0: it answered since
	reported clock.Time     // the data packet for which it was told so
}

// follows reports whether the endpoint of p has a name that is followed.
func (m *Machine) follows(p *member) bool { return p.endpoint.text != "" && m.resolver != nil }

// setEndpointName makes p follow a name: text is HOST:PORT, "" for none.
func (m *Machine) setEndpointName(p *member, text, host string, port uint16) {
	if text == p.endpoint.text {
		return
	}
	if m.follows(p) && text == "" {
		m.resolver.Remove(p.public())
	}
	p.endpoint = named{text: text, known: p.shared.Endpoint().Remote}
	p.shared.SetFollowed(text != "")
	if m.follows(p) {
		m.resolver.Set(p.public(), host, port, p.endpoint.known)
	}
}

// reportEndpoint emits an event if the endpoint of p has changed because p was heard
// from elsewhere, by the machine or by the data plane, or because the previous address
// of its name did not answer.
func (m *Machine) reportEndpoint(p *member) {
	if at := p.shared.Endpoint(); at.IsValid() && at.Remote != p.reported {
		p.reported = at.Remote
		m.logEvent(p, Output{Event: EndpointChanged, Endpoint: at})
	}
}

// observe tells the Resolver where p was heard from, if it does not know that yet: the
// data plane changes the endpoint without the machine (A51).
func (m *Machine) observe(p *member) {
	if !m.follows(p) {
		return
	}
	from := p.shared.Endpoint().Remote
	answered := p.endpoint.silent != 0 && p.shared.LastReceived() > p.endpoint.silent
	if from != p.endpoint.known || answered {
		m.heard(p)
	}
}

// heard tells the Resolver that p was heard from at its endpoint.
func (m *Machine) heard(p *member) {
	if !m.follows(p) {
		return
	}
	p.endpoint.known, p.endpoint.silent = p.shared.Endpoint().Remote, 0
	m.resolver.Heard(p.public(), p.endpoint.known)
}

// A name is looked up again when data was sent for a while and nothing has come back,
// before the handshake that follows on that (B31).
func silentAt(m *Machine, p *member) clock.Time {
	sent := p.shared.Unanswered()
	if sent == 0 || sent == p.endpoint.reported || !m.follows(p) {
		return clock.Never
	}
	return sent.Add(m.tunables.KeepaliveTimeout)
}

func reportSilent(m *Machine, now clock.Now, p *member) {
	m.observe(p)
	p.endpoint.reported = p.shared.Unanswered()
	p.endpoint.silent = now.Mono
	m.resolver.Silent(p.public())
}

// unanswered moves p to the next address of its name, because a handshake got no
// answer.
func (m *Machine) unanswered(now clock.Now, p *member) {
	if !m.follows(p) {
		return
	}
	m.observe(p)
	p.endpoint.silent = now.Mono
	if to, ok := m.resolver.Unanswered(p.public()); ok {
		p.use(to)
	}
}

// Refused is called when the socket could not send to a peer, for example because there
// is no route. It returns the endpoint to send the same message to instead: the next
// address of the peer's name.
func (m *Machine) Refused(now clock.Now, shared *peer.Peer) (to wire.Endpoint, ok bool) {
	p := known(shared)
	if p == nil || !m.up || !m.follows(p) {
		return wire.Endpoint{}, false
	}
	m.observe(p)
	p.endpoint.silent = now.Mono
	next, ok := m.resolver.Refused(p.public())
	if !ok {
		return wire.Endpoint{}, false
	}
	p.use(next)
	return p.shared.Endpoint(), true
}

// use makes an address of p's name its endpoint.
func (p *member) use(to netip.AddrPort) {
	p.shared.SetEndpoint(wire.NewEndpoint(to, netip.Addr{}, 0))
	p.endpoint.known = to
}

// Resolved gives a peer the endpoint that was found for its name. If the peer had one
// before (moved), a session that is in use is tried at the new one by a handshake.
func (m *Machine) Resolved(now clock.Now, id key.Public, to netip.AddrPort, moved bool) {
	p := m.members[id]
	if p == nil || !m.follows(p) {
		return
	}
	if p.shared.Endpoint().Remote != p.endpoint.known {
		m.heard(p) // the peer has moved by itself meanwhile, and that is authenticated
		return
	}
	p.use(to)
	p.reported = p.shared.Endpoint().Remote
	m.logEvent(p, Output{Event: EndpointFound, Endpoint: p.shared.Endpoint()})
	switch k := p.shared.Sessions().Sending(); {
	case !m.up:
		return
	case moved && k != nil && k.Usable(now.Mono):
		p.suspected, p.wanted, p.attempts = now.Mono, true, 0
	case p.shared.HasStaged():
		p.wanted, p.attempts = true, 0
	}
	m.look(now, p)
}

// LookedUp logs that the lookups of a peer's name begin to fail, and why, or with "" that
// they succeed again.
func (m *Machine) LookedUp(id key.Public, why string) {
	p := m.members[id]
	switch {
	case p == nil:
	case why == "":
		m.logEvent(p, Output{Event: NameFound})
	default:
		m.logEvent(p, Output{Event: NameNotFound, Why: why})
	}
}
