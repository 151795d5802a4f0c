package engine

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/sys/link"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/yield"
)

// Apply makes the whole change or, if it returns an error, none of it (A59).
// Steps that can fail outside the machine (a port in use, a mark without
// permission) come first, and are undone if the machine refuses the change.
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
		c.ListenPort = &port // so that the change appears together with its port
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
	e.names.SetMark(after.mark)
	if opened != nil {
		e.useSockets(opened)
	}
	return nil
}

// settings are the parts of the configuration that the sockets depend on.
type settings struct {
	port uint16
	mark uint32
}

func (e *Engine) settings() settings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return settings{e.machine.ListenPort(), e.machine.FirewallMark()}
}

// trySockets opens the sockets that the interface needs with the settings
// after, or sets the mark of those it has. It returns nil if the interface
// keeps its sockets. An interface that could not open any tries again when a
// port or another mark is set.
func (e *Engine) trySockets(before, after settings, portSet bool) (Sockets, error) {
	marked := after.mark != before.mark
	missing := e.sockets.get() == nil
	switch {
	case !e.IsUp():
		return nil, nil
	case missing && (portSet || marked), portSet && (after.port != before.port || after.port == 0):
		return e.world.Listen(after.port, after.mark)
	case missing || !marked:
		return nil, nil
	}
	if err := e.setMark(after.mark); err != nil {
		e.setMark(before.mark) // it may be set on one of the two sockets
		return nil, err
	}
	return nil, nil
}

// setMark sets the firewall mark of the sockets. Both refuse it for the same
// reason, so only one error is returned.
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

// change applies c to the machine, then updates the gate.
func (e *Engine) change(c conf.Change) error {
	e.mu.Lock()
	err := e.machine.Apply(e.world.Clock(), c)
	public := e.machine.PublicKey()
	tunables := e.machine.Tunables()
	e.shared.KeepMSS.Store(e.machine.KeepMSS())
	e.shared.Captures.Load().PeersChanged()
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
// (A52). It returns at once: the route to a peer is looked up again when a packet
// is sent to it or, if the peer is in use, within moments.
func (e *Engine) RoutesChanged(prefixes ...netip.Prefix) {
	if s := e.sockets.get(); s != nil {
		s.Forget()
	}
	e.routes.changed(prefixes...)
	if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		e.names.NetworkChanged() // not for each route of a router
	}
}

// Resumed must be called when the computer has been suspended for a time: sessions may
// be too old, and the network may be another one. It may be called before the timers
// that were due meanwhile have been processed.
func (e *Engine) Resumed(slept time.Duration) {
	e.mu.Lock()
	now := e.world.Clock()
	suspended := e.machine.InUse(now.Mono.Add(-slept))
	e.mu.Unlock()
	e.routes.sweep.resume(now.Mono, suspended)
	if s := e.sockets.get(); s != nil {
		s.Forget()
	}
	e.routes.changed(link.AllIPv4, link.AllIPv6)
	e.names.NetworkChanged()
	e.inbox.ring() // coreLoop's timer has stood still
}

// peersInUse returns the peers that must be told if the way to them has changed.
func (e *Engine) peersInUse() []*peer.Peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.machine.InUse(e.world.Clock().Mono)
}

// rerouted tells the machine about peers to which packets leave another way.
func (e *Engine) rerouted(list []*peer.Peer, since clock.Time, resumed bool) {
	e.withMachine(func(now clock.Now) {
		for _, p := range list {
			e.machine.NetworkChanged(now, p, since, resumed)
		}
	})
}

// snapshotPart is how many peers are copied under one lock: in about 0.2 ms.
const snapshotPart = 256

// snapshot copies the state of the machine. That takes 80 ms for 100,000 peers, in which
// handshakes and, with one processor, packets would wait. So it is done in parts.
func (e *Engine) snapshot() conf.Status {
	e.lanes.NeedProcessors(e.world.Clock().Mono)
	var s core.Snapshot
	e.mu.Lock()
	s.Begin(e.machine, e.world.Clock())
	s.Status.Up, s.Status.Fault = e.up, e.fault
	e.mu.Unlock()
	s.Reserve()
	pacer := yield.StartPacer()
	for {
		e.mu.Lock()
		complete := s.Copy(e.machine, e.world.Clock(), snapshotPart)
		e.mu.Unlock()
		if complete {
			return s.Status
		}
		pacer.Pause()
	}
}

// Status returns a consistent snapshot of the interface (A60).
func (e *Engine) Status() conf.Status {
	st := e.snapshot()
	now := e.world.Clock()
	if st.Name = e.world.TUN.Name(); st.Name == "" { // the interface is gone
		st.Name = e.name
	}
	e.nameFailures(&st)
	st.MTU = int(e.shared.MTU.Load())
	st.AEAD = aead.Kernel()
	st.Observations = e.unread.appendStatus(e.shared.Unreached.AppendStatus(st.Observations, now), now)
	st.Drops, st.Counters = e.drops.Status(), e.counted.Status()
	if n := e.world.TUN.Unjoined(); n > 0 {
		st.Counters = append(st.Counters, conf.Counter{Name: dataplane.CountUnjoined.String(), Count: n})
	}
	return st
}
