package core

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// A gateway whose clock is behind that of another one with the same private key reaches a
// client that has accepted a stamp of the other one only with stamps above that: those of a
// floor. They stay above it after a restart.
func TestStampFloor(t *testing.T) {
	for _, c := range []struct {
		behind time.Duration
		floor  bool
	}{{30 * time.Second, false}, {2 * time.Second, true}, {time.Hour, true}} {
		floor := c.floor
		m := newMoving(t)
		m.gateway.apply(conf.Change{PrivateKey: &m.gateway.private, Peers: []conf.PeerChange{{PublicKey: m.client.public, Endpoint: &m.client.addr}}})
		m.move()
		m.gateway.down()
		m.gateway.up()
		m.run(10 * time.Second)
		m.gateway.send(m.client, "of the first") // and initiates, with its clock
		m.run(time.Second)
		m.move()
		m.other.wall = -c.behind
		last := conf.Stamp(m.gateway.m.LastStamp())
		third := m.host() // gets the last stamp from before the floor
		m.other.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: third.public, Endpoint: &third.addr, Initiate: true}}})
		m.run(20 * time.Millisecond)
		if floor {
			m.other.apply(conf.Change{StampFloor: &last})
			if !m.other.reserved.After(wire.TAI64N(last)) {
				t.Errorf("after a crash, stamps begin at %v, below the floor", m.other.reserved)
			}
		}
		m.other.sent = nil
		m.take(conf.PeerChange{})
		m.other.send(m.client, "of the other")
		m.run(time.Second)
		if got := slices.Contains(m.client.got, "of the other"); got != floor {
			t.Errorf("%v behind, floor %v: the client has received %q", c.behind, floor, m.client.got)
		}
		if stamp := m.other.m.LastStamp(); floor && !stamp.After(wire.TAI64N(last)) {
			t.Errorf("the stamp %v is not above the floor %v", stamp, last)
		}
	}
}

// A floor only rises. One that is more than a day ahead of the clock is refused, with
// everything else in the change (A59).
func TestRefusedStampFloor(t *testing.T) {
	h := newWorld(t, 1).host()
	h.up()
	at := func(d time.Duration) *conf.Stamp {
		s := conf.Stamp(wire.StampAt(h.time().Wall.Add(d)))
		return &s
	}
	port := uint16(7)
	err := h.m.Apply(h.time(), conf.Change{StampFloor: at(24*time.Hour + time.Second), ListenPort: &port})
	if !errors.Is(err, conf.ErrInvalid) || !strings.Contains(err.Error(), "NTP") || h.m.ListenPort() == port || !h.m.LastStamp().IsZero() {
		t.Errorf("%v; the port is %d, the last stamp %v", err, h.m.ListenPort(), h.m.LastStamp())
	}
	h.apply(conf.Change{StampFloor: at(24*time.Hour - time.Second)})
	last := h.m.LastStamp()
	h.apply(conf.Change{StampFloor: at(-time.Hour)})
	if got := h.m.LastStamp(); got != last || got != wire.TAI64N(*at(24*time.Hour - time.Second)) {
		t.Errorf("the last stamp is %v, want %v", got, last)
	}
}
