package unknown

import (
	"net/netip"

	"wgd/conf"
	"wgd/internal/clock"
)

// Packets for unknown destinations wait for keepTime. These are the most that do: packets of
// one destination (a super-packet counts as those that it becomes), destinations, and bytes
// of all.
const (
	maxPacketsOf    = 64
	maxDestinations = 4096
	maxParkedBytes  = 4 << 20
)

// A Packet was read from the interface: a packet or super-packet of Count packets, with the
// header from the interface.
type Packet struct {
	Frame []byte
	Count int
}

// A Destination is an inner address, with the packets that wait for a peer with it, oldest
// first.
type Destination struct {
	To      netip.Addr
	Packets []Packet
	count   int
}

// A Parking is what becomes of a packet that no peer takes.
type Parking uint8

const (
	Dropped Parking = iota // nobody will take it
	Parked                 // it waits, as a copy
	Routed                 // there is a peer that takes it now
)

// Park keeps a copy of a packet to an inner address that no allowed IP takes. routed reports
// whether one takes it by now: it is asked under the lock of TakeDestinations, so that no
// packet is parked after its destination was taken.
func (t *Table) Park(now clock.Time, to netip.Addr, p Packet, routed func(netip.Addr) bool) Parking {
	if !t.Active() || !to.IsGlobalUnicast() {
		return Dropped
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if routed(to) {
		return Routed
	}
	t.expireParked(now)
	switch t.destinations.ask(now, to) {
	case refused:
		return Dropped
	case limited:
		t.miss()
		return Dropped
	case waiting:
		if now.Sub(t.destinations.recent.entries[to].at) >= keepTime {
			return Dropped // nobody has answered
		}
	case reported:
		if !t.report(conf.Want{Kind: conf.UnknownDestination, Address: to}) {
			t.destinations.forget(to)
			return Dropped
		}
	}
	t.park(now, to, p)
	return Parked
}

// park adds a packet. What is too much leaves first: of the destination, the oldest packets;
// of all, the oldest destinations.
func (t *Table) park(now clock.Time, to netip.Addr, p Packet) {
	d := t.parked.get(to)
	if d == nil {
		t.parked.put(now, to, Destination{To: to})
		d = t.parked.get(to)
	}
	p.Frame = append([]byte(nil), p.Frame...)
	d.Packets = append(d.Packets, p)
	d.count += p.Count
	t.parkedBytes += len(p.Frame)
	for d.count > maxPacketsOf && len(d.Packets) > 1 {
		first := d.Packets[0]
		d.Packets[0] = Packet{}
		d.Packets = d.Packets[1:]
		d.count -= first.Count
		t.parkedBytes -= len(first.Frame)
		t.drop(first.Count)
	}
	for t.parked.len() > maxDestinations || t.parkedBytes > maxParkedBytes && t.parked.len() > 1 {
		t.dropParked(t.parked.oldest.key)
	}
}

// TakeDestinations must be called when peers have got the addresses, or, if wider is true,
// also prefixes of several. It returns the destinations with waiting packets for which
// routed reports that a peer takes them. If the peer is removed, those and the addresses are
// reported again at once. Others in the wider prefixes are as before, because to look at all
// that were reported would take too long under the lock.
func (t *Table) TakeDestinations(now clock.Time, addresses []netip.Addr, wider bool, routed func(netip.Addr) bool) (list []Destination) {
	if !t.Active() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireParked(now)
	take := func(a netip.Addr) {
		if !routed(a) {
			return
		}
		t.destinations.forget(a)
		if d, ok := t.parked.take(a); ok {
			t.parkedBytes -= d.bytes()
			list = append(list, d)
		}
	}
	for _, a := range addresses {
		take(a)
	}
	if wider {
		for a := range t.parked.entries {
			take(a)
		}
	}
	return list
}

func (d *Destination) bytes() (n int) {
	for _, p := range d.Packets {
		n += len(p.Frame)
	}
	return n
}

func (t *Table) expireParked(now clock.Time) {
	for t.parked.oldest != nil && now.Sub(t.parked.oldest.at) >= keepTime {
		t.dropParked(t.parked.oldest.key)
	}
}

func (t *Table) dropParked(to netip.Addr) {
	if d, ok := t.parked.take(to); ok {
		t.parkedBytes -= d.bytes()
		t.drop(d.count)
	}
}

// drop counts packets that waited in vain.
func (t *Table) drop(n int) {
	if t.CountDrops != nil {
		t.CountDrops(n)
	}
}
