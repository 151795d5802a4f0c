package engine

import (
	"errors"
	"net/netip"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/dataplane"
	"wgd/internal/sys/udp"
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
	e.lanes.NeedProcessors(e.world.Clock().Mono)
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
	if opened != nil {
		port := opened.Port()
		c.ListenPort = &port // so that nobody sees the change without its port
	}
	if err := e.change(c); err != nil {
		if opened != nil {
			opened.Close()
		} else if after.mark != before.mark {
			e.setMark(before.mark)
		}
		return err
	}
	e.routes.setMark(after.mark)
	if opened != nil {
		e.adopt(opened)
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
// sets their mark. It returns nil when the ones it has will do. One that could
// not open them tries again when it is told a port, or another mark.
func (e *Engine) trySockets(before, after settings, portAsked bool) (Sockets, error) {
	marked := after.mark != before.mark
	missing := e.sockets.get() == nil
	switch {
	case !e.IsUp():
		return nil, nil
	case missing && (portAsked || marked), portAsked && (after.port != before.port || after.port == 0):
		return e.world.Listen(after.port, after.mark)
	case missing || !marked:
		return nil, nil
	}
	if err := e.setMark(after.mark); err != nil {
		e.setMark(before.mark) // one of the two sockets may have taken it
		return nil, err
	}
	return nil, nil
}

// setMark has all that is sent carry the mark. Both sockets refuse for the same
// reason, so it is told once.
func (e *Engine) setMark(mark uint32) error {
	s := e.sockets.get()
	if s == nil {
		return nil
	}
	err := s.SetMark(mark)
	var refused *udp.MarkRefused
	if errors.As(err, &refused) {
		return refused
	}
	return err
}

// change has the machine apply c, and tells the others what they must know.
func (e *Engine) change(c conf.Change) error {
	e.mu.Lock()
	err := e.machine.Apply(e.world.Clock(), c)
	public := e.machine.PublicKey()
	tunables := e.machine.Tunables()
	e.mu.Unlock()
	e.inbox.ring()
	if err != nil {
		return err
	}
	e.admissionMu.Lock()
	e.admission.Gate.SetKey(public)
	e.admission.Gate.SetForce(tunables.ForceUnderload)
	e.admissionMu.Unlock()
	return nil
}

// RoutesChanged must be called when the routes to these prefixes may have changed
// (A52). It returns at once: the route to a peer is looked up again when something
// is sent to it.
func (e *Engine) RoutesChanged(prefixes ...netip.Prefix) {
	if s := e.sockets.get(); s != nil {
		s.Forget()
	}
	e.routes.changed(prefixes...)
}

// Status is the interface at this moment, consistent in itself (A60).
func (e *Engine) Status() conf.Status {
	now := e.world.Clock()
	e.lanes.NeedProcessors(now.Mono)
	e.mu.Lock()
	st := e.machine.Status(now)
	st.Up, st.Fault = e.up, e.fault
	e.mu.Unlock()
	if st.Name = e.world.TUN.Name(); st.Name == "" { // it is gone
		st.Name = e.name
	}
	st.MTU = int(e.shared.MTU.Load())
	st.AEAD = aead.Kernel()
	st.Drops, st.Counters = e.drops.Status(), e.counted.Status()
	if n := e.world.TUN.Unjoined(); n > 0 {
		st.Counters = append(st.Counters, conf.Counter{Name: dataplane.CountUnjoined.String(), Count: n})
	}
	return st
}
