package peer

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
	"wgd/internal/wire"
)

var timing = Timing{KeepaliveTimeout: 10 * time.Second, NoReply: 15 * time.Second}

func newPeer() *Peer { return New(NewCommon(timing)) }

func at(seconds float64) clock.Time { return clock.Time(1e12 + seconds*1e9) }

// What is due follows from the order of events, whether or not the clock advanced
// between them (B31, A40).
func TestActivity(t *testing.T) {
	const (
		sendData = iota
		sendOther
		receiveData
		receiveOther
	)
	type step struct {
		event int
		at    float64
	}
	for name, c := range map[string]struct {
		steps                 []step
		unanswered, unreplied float64 // 0: none
	}{
		"nothing":                     {nil, 0, 0},
		"data sent":                   {[]step{{sendData, 1}}, 1, 0},
		"data sent twice":             {[]step{{sendData, 1}, {sendData, 2}}, 1, 0},
		"a keepalive sent":            {[]step{{sendOther, 1}}, 0, 0},
		"answered by data":            {[]step{{sendData, 1}, {receiveData, 2}}, 0, 2},
		"answered by a keepalive":     {[]step{{sendData, 1}, {receiveOther, 2}}, 0, 0},
		"answered in no time":         {[]step{{sendData, 1}, {receiveOther, 1}}, 0, 0},
		"sent after what came":        {[]step{{receiveOther, 1}, {sendData, 2}}, 2, 0},
		"sent after it in no time":    {[]step{{receiveOther, 1}, {sendData, 1}}, 1.000000001, 0},
		"and answered in no time":     {[]step{{receiveOther, 1}, {sendData, 1}, {receiveOther, 1}}, 0, 0},
		"data received":               {[]step{{receiveData, 1}}, 0, 1},
		"data received twice":         {[]step{{receiveData, 1}, {receiveData, 2}}, 0, 1},
		"a keepalive received":        {[]step{{receiveOther, 1}}, 0, 0},
		"replied by a keepalive":      {[]step{{receiveData, 1}, {sendOther, 2}}, 0, 0},
		"replied in no time":          {[]step{{receiveData, 1}, {sendOther, 1}}, 0, 0},
		"received after a reply":      {[]step{{receiveData, 1}, {sendOther, 2}, {receiveData, 3}}, 0, 3},
		"received right after it":     {[]step{{sendOther, 1}, {receiveData, 1}}, 0, 1.000000001},
		"an older reading, sending":   {[]step{{receiveData, 2}, {sendOther, 1}}, 0, 0},
		"an older reading, receiving": {[]step{{sendData, 2}, {receiveOther, 1}}, 0, 0},
	} {
		p := newPeer()
		for _, s := range c.steps {
			switch s.event {
			case sendData, sendOther:
				p.NoteSent(at(s.at), s.event == sendData)
			default:
				p.NoteReceived(at(s.at), s.event == receiveData)
			}
		}
		if got := p.Unanswered(); got != wanted(c.unanswered) {
			t.Errorf("%s: unanswered since %d, want %d", name, got, wanted(c.unanswered))
		}
		if got := p.Unreplied(); got != wanted(c.unreplied) {
			t.Errorf("%s: unreplied since %d, want %d", name, got, wanted(c.unreplied))
		}
	}
}

func wanted(seconds float64) clock.Time {
	if seconds == 0 {
		return 0
	}
	return at(seconds)
}

// The Forget functions reset only the event that core has handled, which may occur
// again.
func TestForget(t *testing.T) {
	p := newPeer()
	p.NoteSent(at(1), true)
	p.ForgetUnanswered(at(2))
	if p.Unanswered() != at(1) {
		t.Error("ForgetUnanswered reset another event")
	}
	p.ForgetUnanswered(at(1))
	p.NoteSent(at(3), true)
	if p.Unanswered() != at(3) {
		t.Error("the next data packet does not count")
	}
	p.NoteReceived(at(4), true)
	p.ForgetUnreplied(at(4))
	if p.Unreplied() != 0 {
		t.Error("ForgetUnreplied did not reset the event")
	}
	p.ForgetActivity()
	if p.LastSent() != 0 || p.LastReceived() != 0 || p.Unanswered() != 0 || p.Unreplied() != 0 {
		t.Error("ForgetActivity left a time set")
	}
}

// The Note functions request a Wake when a deadline before NextLook is created, not
// for every packet.
func TestWake(t *testing.T) {
	p := newPeer()
	if !p.NoteSent(at(0), true) || p.NoteSent(at(1), true) || p.NoteSent(at(2), false) {
		t.Error("want a Wake for the first data packet, and for no other")
	}
	p.SetNextLook(at(15))
	p.NoteReceived(at(3), false)
	if p.NoteSent(at(4), true) {
		t.Error("core looks early enough")
	}
	if !p.NoteReceived(at(4.5), true) {
		t.Error("no Wake was requested though a keepalive is due before NextLook")
	}
	p.NoteSent(at(5), false)
	if p.NoteReceived(at(6), true) {
		t.Error("core looks early enough")
	}
}

// A name is looked up KeepaliveTimeout after data to which nothing came back, so core
// must look then, and not only when the handshake is due.
func TestWakeForName(t *testing.T) {
	p := newPeer()
	p.SetNextLook(at(12))
	if p.NoteSent(at(1), true) {
		t.Error("nothing is due before core looks")
	}
	p = newPeer()
	p.SetFollowed(true)
	p.SetNextLook(at(12))
	if !p.NoteSent(at(1), true) {
		t.Error("no Wake was requested though a lookup is due before NextLook")
	}
	p = newPeer()
	p.SetFollowed(true)
	p.SetNextLook(at(11))
	if p.NoteSent(at(1), true) {
		t.Error("core looks early enough")
	}
}

// No deadline is lost between core and the data plane: if core sets NextLook while
// a packet is recorded, either a Wake is requested or NextLook is early enough.
func TestConcurrentLookAndNote(t *testing.T) {
	for range 20000 {
		p := newPeer()
		p.SetNextLook(at(0))
		var wake bool
		var both sync.WaitGroup
		both.Go(func() { wake = p.NoteSent(at(1), true) })
		both.Go(func() {
			for {
				next := deadline(p)
				p.SetNextLook(next)
				if deadline(p) >= next {
					return
				}
			}
		})
		both.Wait()
		if !wake && p.NextLook() > at(16) {
			t.Fatal("a deadline was lost")
		}
	}
}

func deadline(p *Peer) clock.Time {
	if t := p.Unanswered(); t != 0 {
		return t.Add(p.Timing().NoReply)
	}
	return clock.Never
}

func TestEndpoint(t *testing.T) {
	p := newPeer()
	if p.Endpoint().IsValid() {
		t.Error("a new peer has an endpoint")
	}
	local := netip.MustParseAddr("192.0.2.9")
	one := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:7"), local, 3)
	two := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.2:7"), local, 3)
	if !p.SetEndpoint(one) || p.SetEndpoint(one) || p.Location().Received() != one {
		t.Error("SetEndpoint did not report or publish the new endpoint")
	}
	nowhere := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:0"), local, 3)
	if p.SetEndpoint(nowhere) || p.SetEndpoint(wire.Endpoint{}) || p.Location().Received() != one {
		t.Error("an endpoint to which nothing can be sent replaced a good one (A51)")
	}
	p.ForgetSource(two)
	if p.Location().Received() != one {
		t.Error("the source of another endpoint was forgotten (A52)")
	}
	p.ForgetSource(p.Endpoint())
	if p.Endpoint() != one.Sourceless() {
		t.Error("the source was not forgotten (A52)")
	}
}

func TestSessionsAndCounters(t *testing.T) {
	p := newPeer()
	if s := p.Sessions(); s == nil || *s != (Sessions{}) {
		t.Errorf("a new peer has the sessions %+v", s)
	}
	s := &Sessions{Current: &session.Keypair{}}
	p.SetSessions(s)
	if p.Sessions() != s {
		t.Error("SetSessions did not publish the sessions")
	}
	p.SetSessions(nil)
	if *p.Sessions() != (Sessions{}) {
		t.Error("SetSessions(nil) did not remove the sessions")
	}
	p.CountSent(3)
	p.CountReceived(5)
	if received, sent := p.Bytes(); received != 5 || sent != 3 { // B24
		t.Errorf("%d bytes received, %d sent, want 5 and 3", received, sent)
	}
	p.SetPersistentKeepalive(65535)
	if p.PersistentKeepalive() != 65535*time.Second {
		t.Error(p.PersistentKeepalive())
	}
	p.SetRecord(s)
	if p.Record() != any(s) {
		t.Error("Record did not return what SetRecord set")
	}
}
