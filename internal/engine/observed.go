package engine

import (
	"errors"
	"net/netip"
	"sync"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/observe"
	"wgd/internal/sys/errno"
	"wgd/internal/sys/udp"
)

// unread are the latest senders of handshake messages that were made for another
// public key than ours.
type unread struct {
	mu   sync.Mutex
	list observe.List
}

func (u *unread) add(now clock.Time, from netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list.AddSubject(now, observe.Event{Kind: conf.BadMAC1, Address: from})
}

func (u *unread) appendStatus(list []conf.Observation, now clock.Now) []conf.Observation {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list.AppendStatus(list, now)
}

// noteSendFailed tells the machine that a handshake message was not sent.
func (e *Engine) noteSendFailed(out *core.Output, err error) {
	name := errno.Name(err)
	if errors.Is(err, udp.ErrNoFamily) {
		name = "EAFNOSUPPORT"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.machine.NoteSendFailed(e.world.Clock(), out.Peer, out.Endpoint, name)
}
