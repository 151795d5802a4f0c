package unknown

import (
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
)

// answeredFor is how long data from an endpoint is not reported after a peer was set to
// it: the data that arrives before its handshake is done is no reason for another set, and
// no second initiation is sent earlier.
const answeredFor = 5 * time.Second

// Session reports data to the index of no session. Nothing of it is kept, because it
// cannot be opened; but an answer has to come from the address to which it was sent.
func (t *Table) Session(now clock.Time, from wire.Endpoint) {
	if !t.Active() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.sessions.ask(now, from.Remote) {
	case refused:
		return
	case limited:
		t.miss()
		return
	case reported:
		if !t.report(conf.Want{Kind: conf.UnknownSession, Endpoint: from.Remote}) {
			t.sessions.forget(from.Remote)
			return
		}
	}
	t.senders.expire(now, conf.MaxRefusal)
	// Not for each packet, because put allocates.
	if e := t.senders.entries[from.Remote]; e == nil || e.value != from || now.Sub(e.at) >= time.Second {
		t.senders.put(now, from.Remote, from)
	}
	if t.senders.len() > maxReported { // a sender may stay longer than its report
		t.senders.take(t.senders.oldest.key)
	}
}

// TakeSession must be called when a peer is set to an endpoint. It returns the endpoint
// with the address to which data for no session was sent from there, and when the last of
// it arrived, if any did within a minute. If the peer is removed, the endpoint is reported
// again after some seconds.
func (t *Table) TakeSession(now clock.Time, remote netip.AddrPort) (from wire.Endpoint, at clock.Time, ok bool) {
	if !t.Active() {
		return wire.Endpoint{}, 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions.refuse(now, remote, answeredFor)
	t.senders.expire(now, conf.MaxRefusal)
	e := t.senders.entries[remote]
	if e == nil {
		return wire.Endpoint{}, 0, false
	}
	from, at = e.value, e.at
	t.senders.take(remote)
	return from, at, true
}
