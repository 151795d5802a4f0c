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
	for out, ok := e.machine.Poll(); ok; out, ok = e.machine.Poll() {
		switch out.Kind {
		case core.Run:
			e.machine.Discard(out.Job)
		case core.Purge:
			e.drops.Add(dataplane.DropStaged, out.Peer.Purge())
		case core.Reserve, core.Accepted, core.Forget:
			e.stamps.note(&out) // A21: an accepted stamp must not be lost
		}
	}
	e.machine.Close()
	e.gateMu.Lock()
	e.gate.Erase()
	e.gateMu.Unlock()
	return e.machine.LastStamp()
}
