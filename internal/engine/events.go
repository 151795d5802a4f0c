package engine

import "wgd/internal/core"

// report reports an output of the machine that changes the state of a peer.
func (e *Engine) report(out *core.Output) {
	if e.world.Events == nil {
		return
	}
	if event, ok := out.Report(); ok {
		e.world.Events(event)
	}
}
