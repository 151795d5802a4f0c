package engine

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/observe"
	"wgd/internal/sys/errno"
	"wgd/internal/sys/udp"
)

// unread are the latest senders of handshake messages that were made for another
// public key than ours. Of a flood, a hundred a second are listed: the list costs a sixth
// of the check of mac1, and nobody reads more.
type unread struct {
	mu     sync.Mutex
	list   observe.List
	bucket clock.Bucket

	flooded atomic.Int64 // the clock.Time until which the bucket is empty
}

const (
	unreadBurst    = 100
	unreadInterval = 10 * time.Millisecond
)

func (u *unread) add(now clock.Time, from netip.AddrPort) {
	if now < clock.Time(u.flooded.Load()) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.bucket.Take(now, unreadBurst, unreadInterval) {
		u.flooded.Store(int64(u.bucket.Ready(unreadBurst, unreadInterval)))
		return
	}
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
