package main

import (
	"slices"
	"time"

	"wgd/internal/clock"
	"wgd/internal/peer"
	keypairs "wgd/internal/session"
	"wgd/internal/sim"
	"wgd/internal/wire"
	"wgd/key"
)

const (
	expiry  = 180 * time.Second // A36
	silence = 15 * time.Second  // from data that nothing answers until a peer is quiet
	unheard = 5 * time.Second   // likewise, after the gateway was suspended

	backWithin = 10 * time.Second // a peer that is heard so long after that was connected all the time
)

// A dayTruth is what was so, second by second: it looks at the sessions of the gateway and
// at what passes, and not at events.
type dayTruth struct {
	day   *day
	of    map[key.Public]*peerTruth
	there map[key.Public]*peer.Peer // what the gateway has
	awake time.Duration             // when the gateway woke up, or will
}

// A peerTruth is that of one public key.
type peerTruth struct {
	sessions []bool // whether there was a session on which packets could be sent, in each second

	asked  time.Duration // when data was sent that nothing has answered yet; 0: never
	woken  time.Duration // when the gateway woke up and nothing was heard since; 0: never
	now    silentTime    // its from is 0 if the peer is not quiet
	silent []silentTime
}

// A silentTime is one in which a peer was quiet: data was sent, or the gateway woke up, and
// nothing came back. From sure on, data was sent long enough ago; 0: it was not. Before
// that, the daemon does not report a peer with which a handshake is in progress. heard says
// that it ended because the peer was heard, and not because the session ended.
type silentTime struct {
	from, sure, to time.Duration
	heard          bool
}

func newDayTruth(d *day) *dayTruth {
	return &dayTruth{day: d, of: map[key.Public]*peerTruth{}, there: map[key.Public]*peer.Peer{}}
}

// moment is when a second is looked at.
func moment(second int) time.Duration { return time.Duration(second)*time.Second + time.Second/2 }

// configured is called when the gateway may have other peers.
func (w *dayTruth) configured() {
	gateway := w.day.gateway
	clear(w.there)
	list := gateway.Machine.Peers()
	for i, s := range gateway.Machine.Status(gateway.Time()).Peers {
		w.there[s.PublicKey] = list[i]
		if w.of[s.PublicKey] == nil {
			w.of[s.PublicKey] = &peerTruth{}
		}
	}
}

// at returns a time of the gateway as one of the day.
func (w *dayTruth) at(t clock.Time) time.Duration {
	if t == 0 {
		return 0
	}
	return w.day.net.Now() - w.day.gateway.Time().Mono.Sub(t)
}

// sample looks at all peers.
func (w *dayTruth) sample() {
	now, mono := w.day.net.Now(), w.day.gateway.Time().Mono
	second := int(now / time.Second)
	for public, t := range w.of {
		connected := false
		if p := w.there[public]; p != nil {
			k := p.Sessions().Sending()
			connected = k != nil && k.Usable(mono)
			t.observe(now, w.at(p.LastReceived()), w.awake, connected)
		} else {
			t.forget(now)
		}
		for len(t.sessions) <= second {
			t.sessions = append(t.sessions, connected)
		}
	}
}

// observe finds out whether the peer is quiet.
func (t *peerTruth) observe(now, heard, awake time.Duration, connected bool) {
	if !connected {
		t.forget(now)
		return
	}
	if heard > t.asked {
		t.asked = 0
	}
	if heard > t.woken {
		t.woken = 0
	}
	if t.now.from != 0 && heard > t.now.from {
		t.end(heard, true)
	}
	if now < awake {
		return
	}
	if due := t.asked + silence; t.asked != 0 && now >= due && t.now.sure == 0 {
		t.now.sure = max(due, awake)
	}
	if t.now.from == 0 {
		t.now.from = t.now.sure
		if due := t.woken + unheard; t.woken != 0 && now >= due && (t.now.from == 0 || due < t.now.from) {
			t.now.from = due
		}
	}
}

// end ends a silence.
func (t *peerTruth) end(at time.Duration, heard bool) {
	t.now.to, t.now.heard = at, heard
	t.silent, t.now = append(t.silent, t.now), silentTime{}
}

// forget is called when there is no session any more.
func (t *peerTruth) forget(now time.Duration) {
	if t.now.from != 0 {
		t.end(now, false)
	}
	t.asked, t.woken = 0, 0
}

// reset is called when the gateway has no sessions any more.
func (w *dayTruth) reset() {
	for _, t := range w.of {
		t.forget(w.day.net.Now())
	}
}

// suspended is called when the gateway is suspended for a time.
func (w *dayTruth) suspended(d time.Duration) {
	w.awake = w.day.net.Now() + d
	w.day.net.After(d, func() {
		mono := w.day.gateway.Time().Mono
		for public, p := range w.there {
			if k := p.Sessions().Sending(); k != nil && k.Usable(mono) {
				w.of[public].woken = w.day.net.Now()
			}
		}
	})
}

// tap sees each datagram. Data to a peer asks for an answer, but a keepalive does not.
func (w *dayTruth) tap(from *sim.Host, d *sim.Datagram) {
	if from != w.day.gateway || d.Type() != wire.TypeData || len(d.Data) <= wire.MinDataSize {
		return
	}
	index := wire.DataIndex(d.Data)
	for public, p := range w.there {
		s := p.Sessions()
		for _, k := range []*keypairs.Keypair{s.Previous, s.Current, s.Next} {
			if k == nil || k.Remote != index {
				continue
			}
			if t, heard := w.of[public], w.at(p.LastReceived()); t.asked == 0 || heard > t.asked {
				t.asked = w.day.net.Now()
			}
			return
		}
	}
	w.day.t.Errorf("%v: data of the gateway belongs to no session", w.day.net.Now())
}

// silentAt reports whether nothing came back at a time.
func (t *peerTruth) silentAt(at time.Duration) bool {
	return t.now.from != 0 && t.now.from <= at || slices.ContainsFunc(t.silent, func(s silentTime) bool { return s.from <= at && at <= s.to })
}

// lateness is by how much a silence that was seen may be longer than what the daemon saw:
// the random delay of its timers, and a second until it was looked at.
const lateness = 1500 * time.Millisecond

// connected returns in which seconds the peer was connected, up to an end. With sure, only
// what is sure to be a silence interrupts that, and must be longer.
func (t *peerTruth) connected(end time.Duration, sure bool) []bool {
	list := slices.Clone(t.sessions)
	silent := slices.Clone(t.silent)
	if t.now.from != 0 { // if it were heard now, it would depend on how long it was silent
		silent = append(silent, silentTime{t.now.from, t.now.sure, end, true})
	}
	for _, s := range silent {
		from, within := s.from, backWithin
		if sure {
			from, within = s.sure, backWithin+lateness
		}
		if from == 0 || s.heard && s.to-from <= within {
			continue
		}
		for i := max(0, int((from+time.Second/2)/time.Second)); i < len(list) && moment(i) < s.to; i++ {
			list[i] = false
		}
	}
	return list
}
