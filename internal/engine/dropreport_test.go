package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/index"
	"wgd/internal/wire"
)

// A flood of an hour is reported in few events, which are soon after the first packet and
// count every packet. After a pause, drops are reported at once again.
func TestDropPace(t *testing.T) {
	const rate = 1000 // in a second
	var d dropPace
	start := clock.Time(1000 * time.Second)
	now, dropped, reported, events := start, uint64(0), uint64(0), 0
	step := func(n uint64) (told uint64) {
		now, dropped = now.Add(dropInterval), dropped+n
		told = d.take(now, dropped)
		reported += told
		if told > 0 {
			events++
		}
		return told
	}
	if step(7) != 7 {
		t.Error("the first drops are not reported at once")
	}
	for now.Sub(start) < time.Hour {
		step(rate * uint64(dropInterval/time.Second))
	}
	if events < 10 || events > 25 {
		t.Errorf("%d events about a flood of an hour, want about one for each %v", events, maxDropPause)
	}
	for range 3 * maxDropPause / dropInterval {
		step(0)
	}
	if reported != dropped {
		t.Errorf("%d packets are reported after the flood, want %d", reported, dropped)
	}
	if step(3) != 3 || step(0) != 0 || step(2) != 2 {
		t.Error("after the flood and a pause, drops are not reported at once")
	}
}

// reporting returns an engine without goroutines, and the events that it reports.
func reporting() (*Engine, *[]conf.Event) {
	var list []conf.Event
	e := &Engine{
		world: World{Events: func(e conf.Event) { list = append(list, e) }},
		drops: &dataplane.Drops{}, shared: &dataplane.Shared{},
		machine: core.New(core.Options{Index: index.New()}),
	}
	return e, &list
}

func at(d time.Duration) clock.Now {
	return clock.Now{Mono: clock.Time(time.Hour + d), Wall: time.Unix(1_795_937_400, 0).Add(d)}
}

// Each reason for a drop is reported under its name with its count, once, but refused
// handshake messages under the cause of the refusal.
func TestReportDrops(t *testing.T) {
	e, events := reporting()
	want := map[string]uint64{}
	for i, row := range dataplane.DropTable() {
		e.drops.Add(dataplane.Drop(i), i+1)
		want[row.Name] = uint64(i + 1)
	}
	delete(want, dataplane.DropHandshake.String())
	from := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:7"), netip.Addr{}, 0)
	for event, causes := range map[core.Event][]core.Cause{
		core.InitiationRefused: {core.UnknownKey, core.UnknownKey, core.Replayed}, core.ResponseRefused: {core.NotAuthentic}, core.GivenUp: {core.NoAnswer},
	} {
		for _, cause := range causes {
			e.outcomes.note(&core.Output{Kind: core.Log, Event: event, Cause: cause, Endpoint: from})
		}
	}
	want["initiation-unknown-key"], want["initiation-replayed"], want["response-not-authentic"] = 2, 1, 1
	for i := range 3 {
		e.reportDrops(at(time.Duration(i) * dropInterval))
	}
	for _, got := range *events {
		if got.Kind != conf.PacketsDropped || got.Count == 0 || got.Count != want[got.Cause] || got.Reason == "" || !got.Peer.IsZero() {
			t.Errorf("got %+v, want the count %d", got, want[got.Cause])
		}
		if got.Cause == "initiation-unknown-key" && got.Endpoint != from.Remote {
			t.Errorf("got %+v, want the endpoint %v", got, from)
		}
		delete(want, got.Cause)
	}
	if len(want) > 0 {
		t.Errorf("no event about %v", want)
	}
}

// An event says which sender or destination the drops are about.
func TestReportOfKnownSenders(t *testing.T) {
	e, events := reporting()
	from := netip.MustParseAddrPort("192.0.2.1:7")
	e.drops.Add(dataplane.DropMAC1, 2)
	e.unread.add(at(0).Mono, netip.MustParseAddrPort("192.0.2.9:9"))
	e.unread.add(at(time.Second).Mono, from)
	e.reportDrops(at(time.Second))
	if got := *events; len(got) != 1 || got[0].Endpoint != from {
		t.Errorf("got %+v, want the endpoint %v", got, from)
	}
}

// The engine reports drops while it runs: packets to no peer, and packets of a peer from
// an address that is not its own (A48, A49).
func TestDropsAreReported(t *testing.T) {
	reports := make(chan conf.Event, 100)
	_, a, b := pair(t, func(w *World) { w.Events = func(e conf.Event) { reports <- e } })
	a.deliver(b, "hello")
	next := func(cause string) conf.Event {
		t.Helper()
		eventually(t, "the drop is counted", func() bool {
			for _, d := range a.Status().Drops {
				if d.Reason == cause {
					return true
				}
			}
			return false
		})
		a.sleep(2 * dropInterval)
		for {
			select {
			case e := <-reports:
				if e.Kind == conf.PacketsDropped && e.Cause == cause {
					return e
				}
			case <-time.After(time.Minute):
				t.Fatalf("no event about %s", cause)
			}
		}
	}
	a.tun.Inject(datagram(a.inner, netip.MustParseAddr("10.9.9.9"), "to nobody"))
	if e := next("no-peer"); e.Count != 1 || !strings.HasSuffix(e.Reason, "; the last destination is 10.9.9.9") || !e.Peer.IsZero() {
		t.Errorf("got %+v", e)
	}
	b.tun.Inject(datagram(netip.MustParseAddr("10.8.8.8"), a.inner, "from another address"))
	if e := next("source"); e.Count != 1 || e.Peer != b.public || !strings.HasSuffix(e.Reason, "; the last address is 10.8.8.8") {
		t.Errorf("got %+v, want one of the peer %v", e, b.public)
	}
	if wait := a.Engine.sleep(clock.Never); wait > dropInterval {
		t.Errorf("the next look at drops is after %v, want at most %v", wait, dropInterval)
	}
}
