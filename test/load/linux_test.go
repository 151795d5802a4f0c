package load

import (
	"crypto/rand"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// linuxPair is two ends of a tunnel in virtual time. A datagram is there at once.
type linuxPair struct {
	t        *testing.T
	now      clock.Now
	ends     [2]*linuxPeer
	deaf     [2]bool           // what is sent to it is lost
	elapsed  time.Duration     // since the beginning
	sent     [2][]linuxSent    // what each end has sent
	received [2][]string       // inner packets
	at       [2]netip.AddrPort // where each end is
}

// A linuxSent is a datagram that was sent.
type linuxSent struct {
	at   time.Duration
	kind wire.Type
	msg  []byte
}

func newLinuxPair(t *testing.T) *linuxPair {
	t.Helper()
	x := &linuxPair{t: t, now: clock.Now{Mono: 1, Wall: time.Unix(1764000000, 0)}}
	var statics [2]*noise.Static
	for i := range statics {
		private, err := key.GeneratePrivate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		statics[i] = noise.NewStatic(private)
		x.at[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 1)
	}
	for i := range statics {
		other := 1 - i
		p := newLinuxPeer(member{statics[i], noise.NewRemote(statics[other].Public())}, i, x.at[other], mrand.New(mrand.NewPCG(1, uint64(i))))
		p.transmit = func(to netip.AddrPort, msg []byte) {
			kind, _ := wire.TypeOf(msg)
			x.sent[i] = append(x.sent[i], linuxSent{x.elapsed, kind, slices.Clone(msg)})
			if to == x.at[other] && !x.deaf[other] {
				x.ends[other].Receive(x.now, x.at[i], slices.Clone(msg))
			}
		}
		p.deliver = func(packet []byte) { x.received[i] = append(x.received[i], string(packet)) }
		x.ends[i] = p
	}
	return x
}

// pass lets time pass. do is called each tenth of a second.
func (x *linuxPair) pass(d time.Duration, do func()) {
	const step = 10 * time.Millisecond
	for end := x.elapsed + d; x.elapsed < end; {
		if do != nil && x.elapsed%(100*time.Millisecond) == 0 {
			do()
		}
		for _, p := range x.ends {
			p.Tick(x.now)
		}
		x.elapsed += step
		x.now = clock.Now{Mono: x.now.Mono.Add(step), Wall: x.now.Wall.Add(step)}
	}
}

// times returns when an end has sent messages of a kind.
func (x *linuxPair) times(end int, kind wire.Type) (list []time.Duration) {
	for _, m := range x.sent[end] {
		if m.kind == kind {
			list = append(list, m.at)
		}
	}
	return list
}

// Packets arrive with their padding. While data goes both ways, the initiator makes a new
// session when the old one is 120 seconds old, and only the initiator.
func TestLinuxRekeys(t *testing.T) {
	x := newLinuxPair(t)
	x.pass(365*time.Second, func() {
		x.ends[0].Send(x.now, []byte("from the initiator"))
		x.ends[1].Send(x.now, []byte("from the responder"))
	})
	got := x.times(0, wire.TypeInitiation)
	if len(got) != 4 || len(x.times(1, wire.TypeInitiation)) != 0 {
		t.Fatalf("initiations at %v, and of the responder at %v", got, x.times(1, wire.TypeInitiation))
	}
	for i, at := range got {
		if want := time.Duration(i) * rekeyAfter; at < want || at > want+time.Second {
			t.Errorf("initiation %d at %v, want %v", i, at, want)
		}
	}
	if n := len(x.received[1]); n != 3650 || x.received[1][0] != "from the initiator"+string(make([]byte, 14)) {
		t.Errorf("%d packets arrived, the first is %q", n, x.received[1][0])
	}
	if x.ends[0].completed != 4 || x.ends[1].completed != 4 {
		t.Errorf("%d and %d handshakes", x.ends[0].completed, x.ends[1].completed)
	}
}

// When nothing comes back, a handshake begins 15 to 15.34 seconds after the first data that
// was not answered, is sent again every 5 to 5.34 seconds, and given up after 90.
func TestLinuxIsSilent(t *testing.T) {
	x := newLinuxPair(t)
	both := func() {
		x.ends[0].Send(x.now, []byte("data"))
		x.ends[1].Send(x.now, []byte("data"))
	}
	x.pass(time.Second, both)
	x.deaf = [2]bool{true, true}
	x.sent = [2][]linuxSent{}
	both()
	x.pass(150*time.Second, nil)
	got := x.times(0, wire.TypeInitiation)
	if len(got) != maxAttempts+2 { // as many as Linux sends: the first, and one more than 18
		t.Fatalf("%d initiations", len(got))
	}
	if got[0] < 16*time.Second || got[0] > 16*time.Second+rekeyJitter+20*time.Millisecond {
		t.Errorf("the first initiation after %v", got[0])
	}
	for i := 1; i < len(got); i++ {
		if pause := got[i] - got[i-1]; pause < rekeyTimeout || pause > rekeyTimeout+rekeyJitter+20*time.Millisecond {
			t.Errorf("a pause of %v", pause)
		}
	}
	x.deaf = [2]bool{}
	x.received = [2][]string{}
	x.pass(200*time.Millisecond, both)
	if len(x.received[0]) == 0 || len(x.received[1]) == 0 {
		t.Error("the tunnel does not work again")
	}
}

// What was received is confirmed after 10 seconds without anything to send, and only then.
func TestLinuxKeepalive(t *testing.T) {
	x := newLinuxPair(t)
	x.ends[0].Send(x.now, []byte("data"))
	before := len(x.times(1, wire.TypeData))
	x.pass(9990*time.Millisecond, nil)
	if n := len(x.times(1, wire.TypeData)); n != before {
		t.Errorf("%d messages in 10 seconds", n-before)
	}
	x.pass(30*time.Second, nil)
	if list := x.times(1, wire.TypeData); len(list) != before+1 || list[before] != keepaliveTimeout {
		t.Errorf("keepalives at %v", list[before:])
	}
	x = newLinuxPair(t)
	x.ends[0].Send(x.now, []byte("data"))
	x.ends[0].Send(x.now, []byte("more"))
	x.pass(40*time.Second, nil)
	if list := x.times(1, wire.TypeData); len(list) != 2 || list[1] != 2*keepaliveTimeout {
		t.Errorf("after two packets, keepalives at %v", list)
	}
}

// Only the initiator renews a session, with a keepalive too; and when it hears something
// although it has sent nothing for 165 seconds.
func TestLinuxInitiatorRenews(t *testing.T) {
	x := newLinuxPair(t)
	x.ends[0].Send(x.now, []byte("data"))
	x.pass(135*time.Second, func() { x.ends[1].Send(x.now, []byte("data")) })
	if list := x.times(0, wire.TypeInitiation); len(list) != 2 || list[1] < rekeyAfter || len(x.times(1, wire.TypeInitiation)) > 0 {
		t.Errorf("initiations at %v, and of the responder at %v", list, x.times(1, wire.TypeInitiation))
	}
	x = newLinuxPair(t)
	x.ends[0].Send(x.now, []byte("data"))
	x.pass(166*time.Second, nil)
	x.ends[1].Send(x.now, []byte("data"))
	if list := x.times(0, wire.TypeInitiation); len(list) != 2 {
		t.Errorf("initiations at %v", list)
	}
}

// A gateway that has taken a client calls it: the client answers and uses the new session.
// An initiation that was recorded does nothing.
func TestLinuxIsCalled(t *testing.T) {
	x := newLinuxPair(t)
	x.ends[0].Send(x.now, []byte("data"))
	x.pass(6*time.Second, nil)
	other := newLinuxPeer(x.ends[1].member, 7, x.at[0], mrand.New(mrand.NewPCG(2, 3)))
	var arrived []string
	other.deliver = func(packet []byte) { arrived = append(arrived, string(packet[:4])) }
	other.transmit = func(_ netip.AddrPort, msg []byte) {
		x.sent[1] = append(x.sent[1], linuxSent{x.elapsed, wire.Type(msg[0]), slices.Clone(msg)})
		x.ends[0].Receive(x.now, x.at[1], slices.Clone(msg))
	}
	x.ends[1] = other
	x.ends[0].Send(x.now, []byte("lost"))
	other.beginHandshake(x.now, false)
	x.ends[0].Send(x.now, []byte("more"))
	if !slices.Equal(arrived, []string{"more"}) {
		t.Fatalf("the new gateway has received %q", arrived)
	}
	recorded := x.sent[1][slices.IndexFunc(x.sent[1], func(m linuxSent) bool { return m.kind == wire.TypeInitiation })]
	x.pass(time.Second, nil)
	answers := len(x.times(0, wire.TypeResponse))
	x.ends[0].Receive(x.now, netip.MustParseAddrPort("192.0.2.66:6"), recorded.msg)
	if n := len(x.times(0, wire.TypeResponse)); n != answers || x.ends[0].endpoint != x.at[1] {
		t.Errorf("%d answers to a recorded initiation, and the endpoint is %v", n-answers, x.ends[0].endpoint)
	}
}
