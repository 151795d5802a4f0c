package engine

import (
	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/driver"
)

// namesChanged is called when a name has another address for a peer, or lookups begin or
// cease to fail. It must not wait.
func (e *Engine) namesChanged() {
	e.found.Store(true)
	e.inbox.ring()
}

// useNames passes the machine the endpoints that were found for names. The caller holds
// the machine's lock, so that the changes have one order with those by the machine.
func (e *Engine) useNames(now clock.Now) {
	if !e.found.Load() || !e.found.Swap(false) {
		return
	}
	for use, ok := e.names.NextUse(); ok; use, ok = e.names.NextUse() {
		e.machine.Resolved(now, use.Peer, use.Endpoint, use.Moved)
	}
	for r, ok := e.names.NextReport(); ok; r, ok = e.names.NextReport() {
		e.machine.LookedUp(r.Peer, r.Why)
	}
}

// maxRefusals bounds how many addresses of a name are tried for one message.
const maxRefusals = 16

// carryOutOne carries out an output. A handshake message that cannot be sent to the
// peer's endpoint is sent to the next address of the peer's name.
func (e *Engine) carryOutOne(now clock.Time, out *core.Output) driver.Outcome {
	result := driver.CarryOut((*effects)(e), e.drops, now, out)
	for n := 0; n < maxRefusals && out.Kind == core.Send && !batch.Sent(result.Err); n++ {
		e.mu.Lock()
		to, ok := e.machine.Refused(e.world.Clock(), out.Peer)
		e.mu.Unlock()
		if !ok {
			break
		}
		e.handshakes.output(now, out, result)
		out.Endpoint = e.routes.ensure(out.Peer, to)
		result = driver.CarryOut((*effects)(e), e.drops, now, out)
	}
	if out.Kind == core.Send && batch.Sent(result.Err) {
		e.captureSent(out)
	}
	return result
}

// nameFailures adds to a status why names were not found.
func (e *Engine) nameFailures(st *conf.Status) {
	for i := range st.Peers {
		if p := &st.Peers[i]; p.EndpointName != "" {
			known, _ := e.names.Status(p.PublicKey)
			p.EndpointFailure = known.Failure
		}
	}
}
