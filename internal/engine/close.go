package engine

import (
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// end does Close's work once; whoever comes first gives the reason.
func (e *Engine) end(reason error) {
	if !e.closed.CompareAndSwap(false, true) {
		return
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
	e.quench()
	e.machine.Close()
	e.gateMu.Lock()
	e.gate.Erase()
	e.gateMu.Unlock()
	return e.machine.LastStamp()
}

// quench carries out what a machine that is down still wants, and takes back
// what it wanted before: nothing is sent any more. What is staged, also while
// there was no socket and the machine did not know, is purged here and now, so
// that it is not done to what comes after the next Up (A61). The caller holds
// e.mu.
func (e *Engine) quench() {
	for out, ok := e.machine.Poll(); ok; out, ok = e.machine.Poll() {
		switch out.Kind {
		case core.Run:
			e.machine.Discard(out.Job)
		case core.Purge: // of one that was removed
			e.drops.Add(dataplane.DropStaged, out.Peer.Purge())
		case core.Reserve, core.Accepted, core.Forget:
			e.stamps.note(&out) // A21: an accepted stamp must not be lost
		}
	}
	for _, p := range e.machine.Peers() {
		e.drops.Add(dataplane.DropStaged, p.Purge())
	}
}
