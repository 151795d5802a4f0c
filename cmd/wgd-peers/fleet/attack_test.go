package fleet

import (
	"context"
	"net/netip"
	"time"

	"wgd/internal/sim"
	"wgd/internal/wire"
)

// attacker is where no client is.
var attacker = netip.MustParseAddrPort("198.51.100.66:6")

// A recording is an initiation that somebody has recorded, and that a gateway has accepted.
type recording struct {
	client *client
	from   netip.AddrPort
	data   []byte
	stamp  wire.TAI64N
}

// maxRecordings is how many recordings are kept.
const maxRecordings = 4096

// record keeps the last initiation of a client.
func (k *checks) record(n int, d *sim.Datagram) {
	if d.Type() == wire.TypeInitiation && n < len(k.w.clients) {
		k.w.clients[n].checked.initiation = d
		k.w.clients[n].checked.initiations++
	}
}

// keep keeps an initiation that was accepted: of those that there are, any.
func (k *checks) keep(c *client) {
	d := c.checked.initiation
	if d == nil {
		return
	}
	r := recording{c, d.From, d.Data, k.stamp}
	if len(k.recordings) < maxRecordings {
		k.recordings = append(k.recordings, r)
	} else {
		k.recordings[k.w.dice.IntN(maxRecordings)] = r
	}
}

// replay has a recorded initiation arrive at all gateways, from where it came and from
// elsewhere. None accepts it, because it gets the greatest stamp with the peer. There are two
// exceptions, which are in docs/fleet.md: until the stamp is in the store, and where a gateway
// has the peer from before.
func (w *world) replay() {
	if len(w.checks.recordings) == 0 {
		return
	}
	r := w.checks.recordings[w.dice.IntN(len(w.checks.recordings))]
	p, err := w.store.ByKey(context.Background(), r.client.public)
	if err != nil || r.stamp.After(p.Seen.Stamp) {
		return
	}
	for _, g := range w.gateways {
		if g.host.Machine.Peer(r.client.public) != nil && r.stamp.After(w.checks.knows[w.checks.contact(g, r.client)]) {
			w.checks.stale++
			continue
		}
		w.checks.replayed++
		w.net.InjectAt(g.host, attacker, r.data)
		w.net.InjectAt(g.host, r.from, r.data)
	}
}

// forge has data for no session arrive at a gateway, from the address of a client and from
// elsewhere.
func (w *world) forge() {
	data := make([]byte, 64)
	data[0] = byte(wire.TypeData)
	for i := 4; i < 8; i++ {
		data[i] = byte(w.dice.Uint32())
	}
	g := w.gateways[w.dice.IntN(len(w.gateways))]
	w.net.InjectAt(g.host, attacker, data)
	c := w.clients[w.dice.IntN(len(w.clients))]
	c.uncounted = true // it answers the initiation of a gateway that does not get its packets
	w.net.InjectAt(g.host, c.host.Addr(), data)
}

// attack does both, until the end of the time with faults.
func (w *world) attack(until time.Time) {
	for pause, do := range map[time.Duration]func(){time.Second: w.replay, 5 * time.Second: w.forge} {
		w.net.Every(pause, func() bool {
			if w.mended || !w.now().Before(until) {
				return false
			}
			do()
			return true
		})
	}
}
