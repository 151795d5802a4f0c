package engine

import (
	"wgd/internal/driver"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// end does Close's work once; whoever comes first gives the reason.
func (e *Engine) end(reason error) {
	if !e.closed.CompareAndSwap(false, true) {
		return
	}
	if s := e.sockets.get(); s != nil {
		s.Close() // an Apply that waits for a send under way must not keep Down waiting
	}
	e.Down()
	close(e.closing)
	e.workers.close()
	e.world.TUN.Close()
	e.running.Wait()
	e.stamps.close(e.bury())
	e.err = reason
	close(e.done)
}

// bury takes in what the goroutines left behind, erases every secret (A35), and
// returns the last stamp of ours.
func (e *Engine) bury() (last wire.TAI64N) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var d driver.Delivery
	e.inbox.take(&d, 0)
	d.Finish(e.machine, e.world.Clock())
	for _, j := range e.workers.left() {
		e.machine.Discard(j)
	}
	e.purge(driver.Quench((*effects)(e), e.machine)) // nobody sends any more, so nobody holds a queue
	e.machine.Close()
	e.admissionMu.Lock()
	e.admission.Gate.Erase()
	e.admissionMu.Unlock()
	return e.machine.LastStamp()
}

// purge drops what is staged. It waits for a goroutine that is just sending it.
func (e *Engine) purge(list []*peer.Peer) {
	for _, p := range list {
		driver.Purge(e.drops, p)
	}
}
