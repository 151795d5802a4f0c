package engine

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/core"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// What the machine wants logged or sent becomes an event if it changes the state
// of a peer. What strangers can cause is no event.
func TestReport(t *testing.T) {
	at := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:7"), netip.Addr{}, 0)
	public := key.Public{1}
	of := peer.New(peer.NewCommon(peer.Timing{}))
	for _, c := range []struct {
		out  core.Output
		want Event
	}{
		{core.Output{Kind: core.Log, Event: core.SessionBegun, Initiator: true, After: time.Second}, Event{Kind: HandshakeDone, Initiator: true, After: time.Second}},
		{core.Output{Kind: core.Log, Event: core.SessionBegun, Renewed: true}, Event{Kind: HandshakeDone, Renewed: true}},
		{core.Output{Kind: core.Log, Event: core.GivenUp, Cause: core.NoAnswer, After: 90 * time.Second}, Event{Kind: HandshakeFailed, Cause: "no-answer", Reason: "no answer", After: 90 * time.Second}},
		{core.Output{Kind: core.Log, Event: core.SessionLost, Cause: core.PeerRemoved}, Event{Kind: SessionEnded, Cause: "removed", Reason: "the peer was removed"}},
		{core.Output{Kind: core.Log, Event: core.KeysErased}, Event{}},
		{core.Output{Kind: core.Log, Event: core.PeerQuiet}, Event{Kind: PeerQuiet}},
		{core.Output{Kind: core.Log, Event: core.PeerBack, After: time.Second}, Event{Kind: PeerBack, After: time.Second}},
		{core.Output{Kind: core.Log, Event: core.EndpointChanged}, Event{Kind: EndpointMoved}},
		{core.Output{Kind: core.Log, Event: core.EndpointFound}, Event{Kind: EndpointMoved}},
		{core.Output{Kind: core.Log, Event: core.NameNotFound, Why: "no such name"}, Event{Kind: NameFailed, Reason: "no such name"}},
		{core.Output{Kind: core.Log, Event: core.NameFound}, Event{Kind: NameFound}},
		{core.Output{Kind: core.Send, Cause: core.NoReply, Attempt: 1}, Event{}},
		{core.Output{Kind: core.Send, Cause: core.SessionOld, Attempt: 1}, Event{}},
		{core.Output{Kind: core.Send}, Event{}},
		{core.Output{Kind: core.Log, Event: core.InitiationRefused, Cause: core.Replayed}, Event{}},
		{core.Output{Kind: core.Log, Event: core.ResponseRefused, Cause: core.NotAuthentic}, Event{}},
		{core.Output{Kind: core.Log, Event: core.CookieReceived}, Event{}},
		{core.Output{Kind: core.Purge}, Event{}},
	} {
		var got Event
		e := &Engine{world: World{Events: func(e Event) { got = e }}}
		c.out.Peer, c.out.PublicKey, c.out.Name, c.out.Endpoint = of, public, "B", at
		if c.want.Kind != 0 {
			c.want.Peer, c.want.Name, c.want.Endpoint = public, "B", at
		}
		if e.report(&c.out); got != c.want {
			t.Errorf("%v %v: got %+v, want %+v", c.out.Kind, c.out.Event, got, c.want)
		}
		(&Engine{}).report(&c.out) // nobody wants events
	}
}
