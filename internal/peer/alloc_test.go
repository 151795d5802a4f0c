//go:build !race

package peer

import "testing"

// The data plane calls these for every batch.
func TestNotesAllocateNothing(t *testing.T) {
	p := newPeer()
	now := at(0)
	if n := testing.AllocsPerRun(100, func() {
		now++
		p.NoteSent(now, true)
		p.NoteReceived(now, true)
		p.CountSent(1)
		p.CountReceived(1)
		p.SetEndpoint(p.Endpoint())
		p.Sessions()
		p.HasStaged()
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
