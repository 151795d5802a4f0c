package fleet

import (
	"context"
	"slices"
	"time"

	"wgd/internal/wire"
)

// answerTime is more than a packet takes to a gateway and back, and what was seen to the store.
const answerTime = 3 * time.Second

// maxAsked is of how many clients it is checked in the end that they have a session, besides
// those that talk. No gateway may have to return some of them because of its limit.
const maxAsked = 400

// settled is how long after the last fault everything holds that must hold in the end.
const settled = 2 * recovery

// finally checks what must hold after the last fault.
func (w *world) finally(p plan) {
	w.mend()
	w.run(settled)
	var asked []*client
	w.locked(func() {
		for n, c := range w.clients {
			if c.interval != 0 || n%(1+len(w.clients)/maxAsked) == 0 {
				asked = append(asked, c)
				w.send(c)
			}
		}
	})
	w.run(recovery)
	w.locked(func() { // what was sent for a session of another gateway is lost
		for _, c := range asked {
			w.send(c)
		}
	})
	w.run(answerTime)
	w.locked(func() {
		for _, c := range asked {
			w.checks.reaches(c)
		}
		for _, g := range w.gateways {
			w.checks.noneRevoked(g)
		}
		for _, c := range w.clients {
			c.ends = true
		}
	})
	w.run(rejectTime + lent*time.Second + time.Minute)
	w.locked(func() {
		for _, g := range w.gateways {
			if n := len(g.host.Machine.Peers()); n != 0 {
				w.checks.fail("gateway %d has %d peers, which nobody uses", g.n, n)
			}
		}
		for _, c := range w.clients {
			w.checks.agrees(c)
		}
	})
	w.checks.speed()
}

// rejectTime is how long a session may be used.
const rejectTime = 180 * time.Second

// reaches checks that a client has a session with the gateway to which its packets go, unless it
// is revoked; and that the store has where it was seen.
func (k *checks) reaches(c *client) {
	heard := k.w.now().Sub(c.heard) <= answerTime+c.interval
	switch {
	case !c.revoked.IsZero():
		if heard {
			k.fail("client %d, which is revoked, is answered", c.n)
		}
		return
	case !heard:
		k.fail("client %d has no session with gateway %d, %v after the last fault", c.n, c.home.n, settled+recovery)
		return
	}
	p, err := k.w.store.ByKey(context.Background(), c.public)
	if err != nil {
		k.fail("client %d: %v", c.n, err)
		return
	}
	if p.Seen.Endpoint != c.host.Addr() {
		k.fail("client %d is at %v, and the store has seen it at %v", c.n, c.host.Addr(), p.Seen.Endpoint)
	}
}

// noneRevoked checks that a gateway has no revoked peer.
func (k *checks) noneRevoked(g *gateway) {
	for _, c := range k.w.clients {
		if !c.revoked.IsZero() && g.host.Machine.Peer(c.public) != nil {
			k.fail("gateway %d has client %d, which was revoked %v ago", g.n, c.n, k.w.now().Sub(c.revoked))
		}
	}
}

// agrees checks what the store has seen of a client, after all gateways have returned it.
func (k *checks) agrees(c *client) {
	p, err := k.w.store.ByKey(context.Background(), c.public)
	if err != nil {
		k.fail("client %d: %v", c.n, err)
		return
	}
	status := c.host.Machine.Status(c.host.Time()).Peers[0]
	sent := status.TxBytes - uint64(wire.InitiationSize*(c.checked.initiations-len(c.checked.accepted))) // of which gateways have taken something
	// Of several responses, the client takes one.
	unread := (p.Seen.TxBytes - status.RxBytes) % wire.ResponseSize
	switch whole := !c.uncounted && c.revoked.IsZero(); {
	case p.Seen.RxBytes > sent, whole && (p.Seen.RxBytes != sent || p.Seen.TxBytes < status.RxBytes || unread != 0):
		k.fail("client %d has sent %d and received %d bytes, and the store has %d and %d", c.n, sent, status.RxBytes, p.Seen.RxBytes, p.Seen.TxBytes)
	case whole:
		k.counted++
	}
	if c.checked.greatest != (wire.TAI64N{}) && !c.uncounted && c.revoked.IsZero() && p.Seen.Stamp != c.checked.greatest {
		k.fail("the greatest stamp of client %d is %v, and the store has %v", c.n, c.checked.greatest, p.Seen.Stamp)
	}
}

// enough checks that so much has happened that the checks prove something. With seed 1 it is
// several times that.
func (k *checks) enough() {
	for _, c := range []struct {
		what     string
		n, floor int
	}{
		{"recorded initiations arrived", k.replayed, 100},
		{"clients had all of their bytes counted", k.counted, 50},
		{"packets of a client went to another gateway", len(k.stopped), 20},
		{"entries were in a table of unknown senders", k.kept, 20},
	} {
		if c.n < c.floor {
			k.fail("only %d times: %s; that is too little to check", c.n, c.what)
		}
	}
}

// speed checks how long the packets of clients stopped when another gateway got them, which
// worked. A gateway whose clock is behind that of the gateway before may need a second
// initiation, and a peer that has just moved is not in the store yet.
func (k *checks) speed() {
	if len(k.stopped) == 0 {
		return
	}
	slices.Sort(k.stopped)
	at := func(share float64) time.Duration { return k.stopped[int(share*float64(len(k.stopped)-1))] }
	k.w.t.Logf("%d times, packets of a client went to another gateway: half stopped for %v, 90 %% for %v, 99 %% for %v, all for %v", len(k.stopped), at(0.5), at(0.9), at(0.99), at(1))
	if at(0.5) > 100*time.Millisecond || at(0.9) > 2*time.Second {
		k.fail("the packets of clients stopped too long when another gateway got them")
	}
}
