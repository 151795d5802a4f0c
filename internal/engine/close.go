package engine

import (
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// end does Close's work once; whoever comes first gives the reason.
func (e *Engine) end(reason error) {
	if !e.closed.CompareAndSwap(false, true) {
		return
	}
	if s := e.outlet.sockets.Load(); s != nil {
		(*s).Close() // an Apply that waits for a send under way must not keep Down waiting
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
	var m mail
	e.inbox.take(&m, 0)
	for _, j := range m.finished {
		e.machine.Finish(e.world.Clock(), j)
	}
	for _, j := range e.workers.left() {
		e.machine.Discard(j)
	}
	e.purge(e.quench()) // nobody sends any more, so nobody holds a queue
	e.machine.Close()
	e.gateMu.Lock()
	e.gate.Erase()
	e.gateMu.Unlock()
	return e.machine.LastStamp()
}

// quench carries out what a machine that is down still wants, and takes back
// what it wanted before: nothing is sent any more. It returns the peers that
// are to be purged. That is not left to coreLoop, or it might be done to what is
// staged after the next Up (A61); nor to the machine alone, which does not know
// what was staged while there was no socket. The caller holds e.mu.
func (e *Engine) quench() (staged []*peer.Peer) {
	staged = e.machine.Peers()
	for out, ok := e.machine.Poll(); ok; out, ok = e.machine.Poll() {
		switch out.Kind {
		case core.Run:
			e.machine.Discard(out.Job)
		case core.Purge: // perhaps of one that was removed
			staged = append(staged, out.Peer)
		case core.Reserve, core.Accepted, core.Forget:
			e.stamps.note(&out) // A21: an accepted stamp must not be lost
		}
	}
	return staged
}

// purge drops what is staged. It waits for who is just sending it.
func (e *Engine) purge(list []*peer.Peer) {
	for _, p := range list {
		e.drops.Add(dataplane.DropStaged, p.Purge())
	}
}
