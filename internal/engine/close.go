package engine

import (
	"wgd/internal/driver"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// end does the work of Close once; the first caller's reason counts.
func (e *Engine) end(reason error) {
	if !e.closed.CompareAndSwap(false, true) {
		return
	}
	if s := e.sockets.get(); s != nil {
		s.Close() // otherwise Down would wait for an Apply that waits for a send
	}
	e.Down()
	close(e.closing)
	e.workers.close()
	e.names.Close()
	e.unknown.End()
	e.world.TUN.Close()
	e.running.Wait()
	e.stamps.close(e.erase())
	e.err = reason
	close(e.done)
}

// erase collects what the ended goroutines left in their queues, erases every
// secret (A35), and returns the last stamp that was sent.
func (e *Engine) erase() (last wire.TAI64N) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var d driver.Delivery
	e.inbox.take(&d, 0)
	d.Finish(e.machine, e.world.Clock())
	for _, j := range e.workers.left() {
		e.machine.Discard(j)
	}
	e.purge(driver.Quench((*effects)(e), e.machine)) // no goroutine sends any more, so none holds a queue
	e.machine.Close()
	e.admissionMu.Lock()
	e.admission.Gate.Erase()
	e.admissionMu.Unlock()
	return e.machine.LastStamp()
}

// purge drops the staged packets of the peers in list. It waits for a goroutine
// that is sending them.
func (e *Engine) purge(list []*peer.Peer) {
	for _, p := range list {
		driver.Purge(e.drops, p)
	}
}
