package engine

import (
	"wgd/conf"
	"wgd/internal/peer"
	"wgd/key"
)

// Apply makes the whole change or, on an error, nothing of it (A59). What can
// fail outside the machine (a port that is taken, a mark that is forbidden) is
// tried first, and undone when the machine refuses.
func (e *Engine) Apply(c conf.Change) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.closed.Load() {
		return ErrClosed
	}
	if err := c.Validate(); err != nil {
		return err
	}
	before := e.settings()
	after := before
	if c.ListenPort != nil {
		after.port = *c.ListenPort
	}
	if c.FirewallMark != nil {
		after.mark = *c.FirewallMark
	}
	opened, err := e.trySockets(before, after, c.ListenPort != nil)
	if err != nil {
		return err
	}
	if err := e.change(c); err != nil {
		if opened != nil {
			opened.Close()
		} else if e.sockets != nil && after.mark != before.mark {
			e.sockets.SetMark(before.mark)
		}
		return err
	}
	if opened != nil {
		e.adopt(opened)
	}
	if after.mark != before.mark {
		e.forgetSources()
	}
	return nil
}

// settings are what the sockets depend on.
type settings struct {
	port uint16
	mark uint32
}

func (e *Engine) settings() settings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return settings{e.machine.ListenPort(), e.machine.FirewallMark()}
}

// trySockets opens the sockets that the interface would have with after, or
// sets their mark. It returns nil when the ones it has will do.
func (e *Engine) trySockets(before, after settings, portAsked bool) (Sockets, error) {
	if !e.up {
		return nil, nil
	}
	if e.sockets == nil || (portAsked && (after.port != before.port || after.port == 0)) {
		return e.world.Listen(after.port, after.mark)
	}
	if after.mark != before.mark {
		return nil, e.sockets.SetMark(after.mark)
	}
	return nil, nil
}

// change has the machine apply c, and tells the others what they must know.
func (e *Engine) change(c conf.Change) error {
	e.mu.Lock()
	err := e.machine.Apply(e.world.Clock(), c)
	var public key.Public
	if private := e.machine.PrivateKey(); !private.IsZero() {
		public = private.Public()
	}
	tunables := e.machine.Tunables()
	e.mu.Unlock()
	e.inbox.ring()
	if err != nil {
		return err
	}
	e.gateMu.Lock()
	e.gate.SetKey(public)
	e.gate.SetForce(tunables.ForceUnderload)
	e.gateMu.Unlock()
	return nil
}

// RoutesChanged lets every peer whose sticky source belongs to another
// interface than the route to it now takes forget that source (A52).
func (e *Engine) RoutesChanged() {
	if e.world.RouteIndex == nil {
		return
	}
	if s := e.outlet.sockets.Load(); s != nil {
		(*s).Forget()
	}
	mark := e.settings().mark
	for _, p := range e.peers() {
		end := p.Endpoint()
		if !end.Source.IsValid() {
			continue
		}
		if i, err := e.world.RouteIndex(end.Remote.Addr(), mark); err != nil || i != end.SourceIndex {
			p.ForgetSource(end)
		}
	}
}

// forgetSources is for a new mark: the routes are others (A52).
func (e *Engine) forgetSources() {
	for _, p := range e.peers() {
		p.ForgetSource(p.Endpoint())
	}
}

func (e *Engine) peers() []*peer.Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.machine.Peers()
}

// Status is the interface at this moment, consistent in itself (A60).
func (e *Engine) Status() conf.Status {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.mu.Lock()
	st := e.machine.Status(e.world.Clock())
	e.mu.Unlock()
	st.Name = e.world.TUN.Name()
	st.MTU = int(e.shared.MTU.Load())
	st.Up = e.up
	st.Fault = e.fault
	st.Drops = e.drops.Status()
	return st
}
