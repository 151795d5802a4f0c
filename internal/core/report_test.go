package core

import (
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
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
	of.CountReceived(7)
	of.CountSent(9)
	for _, c := range []struct {
		out  Output
		want conf.Event
	}{
		{Output{Kind: Log, Event: SessionBegun, Initiator: true, After: time.Second}, conf.Event{Kind: conf.HandshakeDone, Initiator: true, After: time.Second}},
		{Output{Kind: Log, Event: SessionBegun, Renewed: true}, conf.Event{Kind: conf.HandshakeDone, Renewed: true}},
		{Output{Kind: Log, Event: GivenUp, Cause: NoAnswer, After: 90 * time.Second}, conf.Event{Kind: conf.HandshakeFailed, Cause: "no-answer", Reason: "no answer", After: 90 * time.Second}},
		{Output{Kind: Log, Event: SessionLost, Cause: PeerRemoved}, conf.Event{Kind: conf.SessionEnded, Cause: "removed", Reason: "the peer was removed"}},
		{Output{Kind: Log, Event: Returned, Cause: Idle}, conf.Event{Kind: conf.PeerReturned, Cause: "idle", Reason: Idle.String(), RxBytes: 7, TxBytes: 9}},
		{Output{Kind: Log, Event: KeysErased}, conf.Event{}},
		{Output{Kind: Log, Event: PeerQuiet}, conf.Event{Kind: conf.PeerQuiet}},
		{Output{Kind: Log, Event: PeerBack, After: time.Second}, conf.Event{Kind: conf.PeerBack, After: time.Second}},
		{Output{Kind: Log, Event: EndpointChanged}, conf.Event{Kind: conf.EndpointMoved}},
		{Output{Kind: Log, Event: EndpointFound}, conf.Event{Kind: conf.EndpointMoved}},
		{Output{Kind: Log, Event: NameNotFound, Why: "no such name"}, conf.Event{Kind: conf.NameFailed, Reason: "no such name"}},
		{Output{Kind: Log, Event: NameFound}, conf.Event{Kind: conf.NameFound}},
		{Output{Kind: Send, Cause: NoReply, Attempt: 1}, conf.Event{}},
		{Output{Kind: Send, Cause: SessionOld, Attempt: 1}, conf.Event{}},
		{Output{Kind: Send}, conf.Event{}},
		{Output{Kind: Log, Event: InitiationRefused, Cause: Replayed}, conf.Event{}},
		{Output{Kind: Log, Event: ResponseRefused, Cause: NotAuthentic}, conf.Event{}},
		{Output{Kind: Log, Event: CookieReceived}, conf.Event{}},
		{Output{Kind: Purge}, conf.Event{}},
	} {
		c.out.Peer, c.out.PublicKey, c.out.Name, c.out.Endpoint = of, public, "B", at
		if c.want.Kind != "" {
			c.want.Peer, c.want.Name, c.want.Endpoint = public, "B", at.Remote
		}
		if got, ok := c.out.Report(); got != c.want || ok != (c.want.Kind != "") {
			t.Errorf("%v %v: got %+v, %v, want %+v", c.out.Kind, c.out.Event, got, ok, c.want)
		}
	}
}
