package engine

import (
	"net/netip"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

const (
	// dropInterval is the time between two looks at the counts of drops, and the minimum
	// time between two events about one cause. While drops of a cause continue, that time
	// doubles, up to maxDropPause: anybody can cause them, and they must not displace
	// other events.
	dropInterval = 5 * time.Second
	maxDropPause = 5 * time.Minute
)

// A dropPace decides when a count is reported.
type dropPace struct {
	reported uint64 // the count at the last report
	next     clock.Time
	pause    time.Duration
}

// take returns by how much the count has risen since the last report, or 0 if it is not
// reported now.
func (d *dropPace) take(now clock.Time, count uint64) (n uint64) {
	if count == d.reported || now < d.next {
		return 0
	}
	if now.Sub(d.next) >= d.pause {
		d.pause = dropInterval // none were dropped for as long as that
	} else {
		d.pause = min(2*d.pause, maxDropPause)
	}
	n, d.reported, d.next = count-d.reported, count, now.Add(d.pause)
	return n
}

// A dropReport makes events of the counts of drops. The data plane and the machine only
// count, and pay nothing for it. It belongs to coreLoop.
type dropReport struct {
	due   clock.Time
	paces map[string]*dropPace // by cause
}

// reportDrops reports what was dropped, if it is time.
func (e *Engine) reportDrops(now clock.Now) {
	r := &e.dropReport
	if e.world.Events == nil || now.Mono < r.due {
		return
	}
	r.due = now.Mono.Add(dropInterval)
	for i, row := range dataplane.DropTable() {
		if d := dataplane.Drop(i); d != dataplane.DropHandshake { // those are in refusals, by cause
			if n := r.take(now.Mono, row.Name, e.drops.Count(d)); n > 0 {
				e.reportDrop(now, d, conf.Event{Kind: conf.PacketsDropped, Cause: row.Name, Reason: row.Meaning, Count: n})
			}
		}
	}
	for _, s := range e.outcomes.refusals() {
		if n := r.take(now.Mono, s.word, s.count); n > 0 {
			event := conf.Event{Kind: conf.PacketsDropped, Cause: s.word, Reason: s.reason, Count: n, Endpoint: s.from.Remote}
			e.identify(&event, s.peers.Take())
			e.world.Events(event)
		}
	}
}

func (r *dropReport) take(now clock.Time, cause string, count uint64) (n uint64) {
	if count == 0 {
		return 0
	}
	if r.paces == nil {
		r.paces = make(map[string]*dropPace)
	}
	if r.paces[cause] == nil {
		r.paces[cause] = &dropPace{}
	}
	return r.paces[cause].take(now, count)
}

// reportDrop adds what is known about the drops of an event, and reports it.
func (e *Engine) reportDrop(now clock.Now, d dataplane.Drop, event conf.Event) {
	switch d {
	case dataplane.DropMAC1:
		event.Endpoint = latest(e.unread.appendStatus(nil, now))
	case dataplane.DropNoPeer:
		if to := latest(e.shared.Unreached.AppendStatus(nil, now)); to.IsValid() {
			event.Reason += "; the last destination is " + to.Addr().String()
		}
	case dataplane.DropSource:
		if p := e.shared.Spoofing.Take(); p != nil {
			e.identify(&event, p)
			if refused, ok := p.RefusedSource(); ok {
				event.Reason += "; the last address is " + refused.Address.String()
			}
		}
	}
	e.world.Events(event)
}

// identify makes an event one about p, if that is not nil.
func (e *Engine) identify(event *conf.Event, p *peer.Peer) {
	if p == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	event.Name, event.Peer = e.machine.NameOf(p)
}

// latest returns the address of the latest observation in the list.
func latest(list []conf.Observation) (address netip.AddrPort) {
	var last time.Time
	for i := range list {
		if list[i].Last.After(last) {
			last, address = list[i].Last, list[i].Address
		}
	}
	return address
}

// A refusal is a kind of refused handshake messages.
type refusal struct {
	word, reason string
	count        uint64
	from         wire.Endpoint // of the last
	peers        *peer.Sole
}

// refusals returns the kinds that have occurred.
func (o *outcomes) refusals() (list []refusal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, row := range outcomeTable {
		for _, cause := range row.causes {
			if c := o.caused[ending{row.event, cause}]; c != nil && row.event != core.GivenUp {
				word := strings.TrimSuffix(string(row.outcome), "-refused") + "-" + cause.Word()
				list = append(list, refusal{word, row.event.String() + ": " + cause.String(), c.count, c.from, &c.peers})
			}
		}
	}
	return list
}
