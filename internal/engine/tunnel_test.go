package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/sys/udp/udptest"
	"wgd/internal/wire"
	"wgd/key"
)

// A whole tunnel: the first packet triggers the handshake, and data passes in both
// directions (A34). Bytes sent and received are not mixed up (B24).
func TestTunnel(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	b.deliver(a, "hello yourself")
	for i := range 100 {
		a.deliver(b, fmt.Sprint("and again ", i))
	}
	eventually(t, "both sites count the same bytes", func() bool {
		from, to := a.status(b), b.status(a)
		return from.TxBytes == to.RxBytes && from.RxBytes == to.TxBytes && from.TxBytes > from.RxBytes
	})
	// The data plane is ahead of the machine, which records the handshake later.
	eventually(t, "both sites record the handshake", func() bool {
		return !a.status(b).LastHandshake.IsZero() && !b.status(a).LastHandshake.IsZero()
	})
	if to := b.status(a); to.Endpoint != a.addr() {
		t.Errorf("b's endpoint for a is %v, want %v", to.Endpoint, a.addr())
	}
}

// A42, B39: packets staged before the session are sent in order.
func TestStagedInOrder(t *testing.T) {
	_, a, b := pair(t)
	for i := range 100 {
		a.inject(b, fmt.Sprintf("packet %02d", i))
	}
	for i := range 100 {
		raw, ok := b.tun.Next(patience)
		if want := fmt.Sprintf("packet %02d", i); !ok || string(raw[len(raw)-len(want):]) != want {
			t.Fatalf("got packet %q, want %q", raw, want)
		}
	}
}

// A51, B13: the endpoint follows a peer that moves with its next data packet.
func TestRoaming(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "from here")
	moved := netip.MustParseAddr("192.0.2.77")
	a.host.AddAddr(moved)
	a.host.RemoveAddr(a.outer)
	a.deliver(b, "from there")
	if got := b.status(a).Endpoint.Addr(); got != moved {
		t.Errorf("b sends to %v", got)
	}
	b.deliver(a, "to there")
}

// A52: a source address that is gone is forgotten, when data and when handshake
// messages are sent.
func TestSourceGone(t *testing.T) {
	net := udptest.NewNet()
	a, b := newSite(t, net, 1), newSite(t, net, 2)
	second := netip.MustParseAddr("192.0.2.101")
	a.host.AddAddr(second)
	a.up()
	b.up()
	to := a.asPeer()
	at := netip.AddrPortFrom(second, a.addr().Port())
	to.Endpoint = &at
	b.apply(peers(to))
	a.apply(peers(b.asPeer()))
	b.deliver(a, "to the second address")
	if source := a.peer().Endpoint().Source; source != second {
		t.Fatalf("a replies from %v, want %v", source, second)
	}
	a.host.RemoveAddr(second)
	a.deliver(b, "from the first")
	eventually(t, "sending data forgets the source", func() bool { return a.peer().Endpoint().Source != second })
	// So does a handshake message, which is counted as sent.
	p := a.peer()
	gone := wire.NewEndpoint(p.Endpoint().Remote, second, 1)
	p.SetEndpoint(gone)
	private, _ := newKey(t)
	a.apply(conf.Change{PrivateKey: &private})
	a.inject(b, "handshake with the new key")
	eventually(t, "the source is forgotten", func() bool { return !p.Endpoint().Source.IsValid() })
	if a.dropped("send") != 0 {
		t.Error("a message sent without its source counts as lost")
	}
	// Without any address it is lost, and counts as lost.
	a.host.RemoveAddr(a.outer)
	_, before := p.Bytes()
	p.SetEndpoint(wire.NewEndpoint(p.Endpoint().Remote, a.outer, 1))
	private, _ = newKey(t)
	a.apply(conf.Change{PrivateKey: &private})
	a.inject(b, "handshake from nowhere")
	eventually(t, "the handshake message is lost", func() bool { return a.dropped("send") == 1 })
	if _, after := p.Bytes(); after != before {
		t.Errorf("%d bytes count as sent, but were not", after-before)
	}
	// The drop is counted before.
	eventually(t, "the source is forgotten", func() bool { return !p.Endpoint().Source.IsValid() })
}

// A40, B46, B20: the tunnel continues after a socket has refused a train, or a part of
// it.
func TestSocketRefuses(t *testing.T) {
	_, a, b := pair(t)
	full := errors.New("no buffer space available")
	a.conn().OnSend(func(*batch.Batch) (int, error) { return 0, full })
	a.inject(b, "waits")
	eventually(t, "the initiation is refused", func() bool { return a.dropped("send") > 0 })
	a.conn().OnSend(nil)
	a.sleep(7 * time.Second) // the next initiation
	b.await("waits")

	a.conn().OnSend(func(*batch.Batch) (int, error) { return 0, full })
	lost := a.dropped("send")
	a.inject(b, "is lost")
	eventually(t, "the loss is counted", func() bool { return a.dropped("send") == lost+1 })
	a.conn().OnSend(func(b *batch.Batch) (int, error) { return b.Count() / 2, full })
	a.inject(b, "one by one")
	eventually(t, "the loss is counted", func() bool { return a.dropped("send") == lost+2 })
	a.conn().OnSend(nil)
	a.deliver(b, "arrives")
}

// Packets dropped because the path is congested have their own counter. Only data and
// replies to strangers are of a class that may wait or be dropped.
func TestCongestion(t *testing.T) {
	_, a, b := pair(t)
	classes := make(chan string, 1000)
	note := func(s *site) {
		s.conn().OnSend(func(b *batch.Batch) (int, error) {
			kind, _ := wire.TypeOf(b.At(0))
			classes <- fmt.Sprint(kind, " of ", len(b.At(0)), ": ", b.Class)
			return -1, nil
		})
	}
	note(a)
	note(b)
	underload := true
	b.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &underload}})
	a.inject(b, "waits for a cookie")
	eventually(t, "a cookie", func() bool { return b.conn().Sent() > 0 })
	a.sleep(6 * time.Second) // the next initiation
	b.await("waits for a cookie")
	b.deliver(a, "hello")
	a.conn().OnSend(nil)
	b.conn().OnSend(nil)
	close(classes)
	seen := map[string]bool{}
	for c := range classes {
		seen[c] = true
	}
	for _, want := range []string{
		fmt.Sprint(wire.TypeInitiation, " of 148: ", batch.Control), fmt.Sprint(wire.TypeResponse, " of 92: ", batch.Control),
		fmt.Sprint(wire.TypeCookieReply, " of 64: ", batch.Reply),
	} {
		if !seen[want] {
			t.Errorf("sent %v, want also %q", seen, want)
		}
	}

	a.conn().OnSend(func(*batch.Batch) (int, error) { return 0, batch.ErrBacklog })
	a.inject(b, "is lost")
	eventually(t, "the loss is counted", func() bool { return a.dropped("backlog") == 1 && a.dropped("send") == 0 })
	a.conn().OnSend(nil)
	a.deliver(b, "arrives")
}

// A41: setting a persistent keepalive sends one at once if the interface is up, and
// otherwise Up does.
func TestPersistentKeepalive(t *testing.T) {
	net := udptest.NewNet()
	a, b := newSite(t, net, 1), newSite(t, net, 2)
	b.apply(peers(a.asPeer()))
	b.up()
	interval := uint16(25)
	to := b.asPeer()
	to.PersistentKeepalive = &interval
	a.apply(peers(to))
	time.Sleep(20 * time.Millisecond)
	if !a.status(b).LastHandshake.IsZero() {
		t.Error("a sent something while down")
	}
	a.up()
	eventually(t, "a handshake after Up", func() bool { return !b.status(a).LastHandshake.IsZero() })

	received := func() uint64 { return b.status(a).RxBytes }
	off := uint16(0)
	for _, c := range []*uint16{&off, &interval} {
		before := received()
		a.apply(peers(conf.PeerChange{PublicKey: b.public, PersistentKeepalive: c}))
		if c == &interval {
			eventually(t, "a keepalive at once", func() bool { return received() == before+wire.MinDataSize })
		}
	}
	before := received()
	a.sleep(26 * time.Second)
	eventually(t, "the next keepalive", func() bool { return received() > before })
	if _, ok := b.tun.Next(0); ok {
		t.Error("a keepalive reached the interface (A40)")
	}
}

// A61: Down erases keys, drops staged packets and closes the sockets; Up sends what was
// staged since.
func TestDownAndUp(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	eventually(t, "nothing is staged", func() bool { return !a.peer().HasStaged() })
	old := a.conn()
	b.host.RemoveAddr(b.outer) // so that packets stay staged
	a.sleep(200 * time.Second)
	b.sleep(200 * time.Second) // A19: otherwise it ignores initiations within 20 ms
	a.inject(b, "purged")
	eventually(t, "it is staged", a.peer().HasStaged)
	a.Down()
	if st := a.Status(); st.Up || a.peer().Sessions().Sending() != nil || a.peer().HasStaged() {
		t.Errorf("after Down: %+v", st)
	}
	if _, err := old.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1)); err == nil {
		t.Error("the socket is open after Down")
	}
	a.inject(b, "staged while down")
	eventually(t, "it is staged", a.peer().HasStaged)
	b.host.AddAddr(b.outer)
	port := a.Status().ListenPort
	a.up()
	if a.Status().ListenPort != port {
		t.Error("the port changed after down and up")
	}
	b.await("staged while down")
	if a.dropped("staged") != 1 {
		t.Errorf("%d staged packets were dropped, want 1: %v", a.dropped("staged"), a.Status().Drops)
	}
	b.deliver(a, "and back")
}

// If the port changes while the interface is up, the tunnel uses the new one (A51
// updates the other side).
func TestPortChange(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	old := a.conn()
	port := uint16(51900)
	a.apply(conf.Change{ListenPort: &port})
	if got := a.Status().ListenPort; got != port {
		t.Errorf("the port is %d, want %d", got, port)
	}
	if _, err := old.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1)); err == nil {
		t.Error("the old socket is still open")
	}
	a.deliver(b, "from the new port")
	if got := b.status(a).Endpoint.Port(); got != port {
		t.Errorf("b sends to port %d", got)
	}
	b.deliver(a, "to the new port")
	// A53: 0 means any port, and a new one each time it is set.
	a.apply(conf.Change{ListenPort: new(uint16)})
	if got := a.Status().ListenPort; got == 0 || got == port {
		t.Errorf("the port is %d, want a new one", got)
	}
	a.deliver(b, "from any port")
}

// A change of the port while data flows loses no packet to send, and data continues in
// both directions.
func TestPortChangeUnderTraffic(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	for i := range 50 {
		port := uint16(50000 + i)
		a.inject(b, "before")
		a.apply(conf.Change{ListenPort: &port})
		a.deliver(b, fmt.Sprint("after ", i))
	}
	if n := a.dropped("send"); n != 0 {
		t.Errorf("%d packets were not sent", n)
	}
}

// A58: a new private key is used from the next packet on; a peer that knows the public
// key answers.
func TestKeyChange(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	private, public := newKey(t)
	b.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: a.public, Remove: true},
		{PublicKey: public, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(a.inner, 32)}}},
	}})
	a.apply(conf.Change{PrivateKey: &private})
	a.private, a.public = private, public
	a.deliver(b, "under the new key")
	b.deliver(a, "likewise")

	// B23: setting the same key again changes nothing.
	session := a.peer().Sessions().Sending()
	a.apply(conf.Change{PrivateKey: &private})
	if a.peer().Sessions().Sending() != session {
		t.Error("setting the same key ended the session")
	}

	// Without a key nothing can be sent.
	var none key.Private
	a.apply(conf.Change{PrivateKey: &none})
	sent := a.conn().Sent()
	a.inject(b, "no key")
	time.Sleep(20 * time.Millisecond)
	if a.conn().Sent() != sent || !a.Status().PublicKey.IsZero() {
		t.Error("a sent something without a key")
	}
}

// A39, B17: the time while the computer is suspended counts: the old key is not used,
// and the first packet afterwards arrives under a new one (B37).
func TestSuspend(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	before := a.status(b).LastHandshake
	a.ahead.Add(int64(time.Hour))
	b.ahead.Add(int64(time.Hour)) // A19: otherwise it ignores initiations within 20 ms
	a.deliver(b, "good morning")
	if !a.status(b).LastHandshake.After(before) {
		t.Error("there was no new handshake")
	}
}

// The MTU is that of the interface at first, and follows its changes.
func TestMTU(t *testing.T) {
	a := newSite(t, udptest.NewNet(), 1)
	if got := a.Status().MTU; got != 1420 {
		t.Errorf("the MTU is %d at first, want 1420", got)
	}
	a.SetMTU(9000)
	if got := a.Status().MTU; got != 9000 {
		t.Errorf("the MTU is %d, want 9000", got)
	}
}
