package engine

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/cookie"
	"wgd/internal/driver"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/udp/udptest"
	"wgd/internal/wire"
	"wgd/key"
)

// When the port is taken, the interface is up and reports the fault. Other changes
// still apply, and another port clears the fault.
func TestFaultAndAnotherPort(t *testing.T) {
	net := udptest.NewNet()
	a, b := newSite(t, net, 1), newSite(t, net, 2)
	taken := occupy(t, a, 51820)
	port := uint16(51820)
	a.apply(conf.Change{ListenPort: &port}) // accepted while down
	err := a.Up()
	oneSentence(t, err)
	if st := a.Status(); !st.Up || st.Fault != err.Error() || a.Fault() != st.Fault || !strings.Contains(st.Fault, "51820") {
		t.Errorf("with a port that is taken: up %v, fault %q", st.Up, st.Fault)
	}
	if err := a.Up(); err != nil {
		t.Errorf("up again: %v", err)
	}
	b.up()
	b.apply(peers(a.asPeer()))
	mark := uint32(7)
	if err := a.Apply(peers(b.asPeer())); err != nil {
		t.Errorf("a peer cannot be added under a fault: %v", err)
	}
	if err := a.Apply(conf.Change{FirewallMark: &mark}); err == nil {
		t.Error("a change of the mark opens the sockets again, but returned no error")
	}
	if err := a.Apply(conf.Change{ListenPort: &port}); err == nil || a.Fault() == "" {
		t.Error("the port is still taken, but there is no error or no fault")
	}
	a.inject(b, "staged under the fault")
	eventually(t, "it is staged", a.peer().HasStaged)
	port = 51821
	a.apply(conf.Change{ListenPort: &port})
	if st := a.Status(); !st.Up || st.Fault != "" || st.ListenPort != port {
		t.Errorf("with a free port: up %v, fault %q", st.Up, st.Fault)
	}
	b.await("staged under the fault")
	taken.Close()
}

// Down and up clear the fault too, once the port is free. Down purges the packets
// staged during the fault (A61).
func TestFaultAndUpAgain(t *testing.T) {
	net := udptest.NewNet()
	a, b := newSite(t, net, 1), newSite(t, net, 2)
	taken := occupy(t, a, 51820)
	port := uint16(51820)
	a.apply(conf.Change{ListenPort: &port})
	a.Up()
	b.up()
	b.apply(peers(a.asPeer()))
	a.apply(peers(b.asPeer()))
	a.inject(b, "purged")
	eventually(t, "it is staged", a.peer().HasStaged)
	taken.Close()
	a.Down()
	if st := a.Status(); st.Up || st.Fault != "" || a.dropped("staged") != 1 {
		t.Errorf("after Down: %+v", st)
	}
	a.up()
	if a.Fault() != "" {
		t.Error(a.Fault())
	}
	a.deliver(b, "works")
}

func occupy(t *testing.T, s *site, port uint16) *udp.Pair {
	t.Helper()
	pair, err := s.host.Listen(port, udp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// A59: if the machine refuses a change (the name of another peer), the sockets and
// the mark stay as they were, and vice versa.
func TestApplyIsWhole(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	name, mark, port := "B", uint32(5), uint16(51999)
	a.apply(conf.Change{FirewallMark: &mark, Peers: []conf.PeerChange{{PublicKey: b.public, Name: &name}}})
	before, socket := a.Status(), a.conn()
	if socket.Mark() != 5 {
		t.Errorf("mark %d", socket.Mark())
	}
	_, another := newKey(t)
	refused := []conf.PeerChange{{PublicKey: another, Name: &name}}
	mark = 6
	for _, c := range []conf.Change{
		{FirewallMark: &mark, Peers: refused},
		{ListenPort: &port, Peers: refused},
		{ListenPort: &port, FirewallMark: &mark, Peers: refused},
	} {
		oneSentence(t, a.Apply(c))
		after := a.Status()
		if after.FirewallMark != before.FirewallMark || after.ListenPort != before.ListenPort || len(after.Peers) != 1 {
			t.Errorf("the refused change was partly applied: %+v", after)
		}
		if socket.Mark() != 5 {
			t.Errorf("the socket has mark %d", socket.Mark())
		}
	}
	// The port of a refused change is free again.
	occupy(t, a, port).Close()
	a.deliver(b, "on the old sockets")

	taken := occupy(t, a, port)
	defer taken.Close()
	oneSentence(t, a.Apply(conf.Change{ListenPort: &port, Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}}))
	a.deliver(b, "still a peer")
}

// partialMark is a pair of sockets that reports every mark but 0 as refused.
type partialMark struct {
	*udp.Pair
	marks []uint32
}

func (s *partialMark) SetMark(mark uint32) error {
	s.marks = append(s.marks, mark)
	if mark == 0 {
		return nil
	}
	return errors.Join(&udp.MarkRefused{Mark: mark, Cause: errors.New("not permitted")}, &udp.MarkRefused{Mark: mark, Cause: errors.New("not permitted")})
}

// A59: a refused mark is reset on the socket that accepted it, and the error is one
// sentence.
func TestMarkRefused(t *testing.T) {
	sockets := &partialMark{}
	host := udptest.NewNet().Host(outer(1))
	a := newSite(t, udptest.NewNet(), 1, func(w *World) {
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			pair, err := host.Listen(port, udp.Options{})
			sockets.Pair = pair
			return sockets, err
		}
	})
	a.up()
	mark := uint32(9)
	oneSentence(t, a.Apply(conf.Change{FirewallMark: &mark}))
	if a.Status().FirewallMark != 0 || len(sockets.marks) != 2 || sockets.marks[1] != 0 {
		t.Errorf("mark %d, set %v", a.Status().FirewallMark, sockets.marks)
	}
}

// A52, A53: a new mark is set on the sockets, and every source is forgotten.
func TestMarkForgetsSources(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	b.deliver(a, "hello")
	a.peer().SetEndpoint(wire.NewEndpoint(b.addr(), a.outer, 1))
	mark := uint32(42)
	a.apply(conf.Change{FirewallMark: &mark})
	if a.peer().Endpoint().Source.IsValid() || a.conn().Mark() != mark || a.Status().FirewallMark != mark {
		t.Errorf("endpoint %+v, mark %d", a.peer().Endpoint(), a.conn().Mark())
	}
	// The mark persists across down and up, and on another port.
	a.Down()
	a.up()
	if a.conn().Mark() != mark {
		t.Errorf("mark %d after up", a.conn().Mark())
	}
	a.apply(conf.Change{ListenPort: new(uint16)})
	if a.conn().Mark() != mark {
		t.Errorf("mark %d on another port", a.conn().Mark())
	}
}

// The gate follows changes of the key, also its removal (A22), and of the tunables
// at once.
func TestGateFollows(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	verdict := func() cookie.Verdict {
		msg := initiation(t, b.private, a.public)
		a.admissionMu.Lock()
		defer a.admissionMu.Unlock()
		v := a.admission.Gate.Check(msg)
		if v == cookie.Admit {
			v, _ = a.admission.Gate.Admit(a.clock().Mono, netip.MustParseAddrPort("192.0.2.9:9"), msg, 0, driver.Capacity)
		}
		return v
	}
	if v := verdict(); v != cookie.Admit {
		t.Errorf("with the key: %v", v)
	}
	on := true
	a.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &on}})
	if v := verdict(); v != cookie.Reply {
		t.Errorf("net.wg.force_underload=1: %v", v)
	}
	if !a.Status().Tunables.ForceUnderload {
		t.Error("the status does not report ForceUnderload")
	}
	var none key.Private
	a.apply(conf.Change{PrivateKey: &none})
	if v := verdict(); v != cookie.DropNoKey {
		t.Errorf("without a key: %v", v)
	}
	a.Close()
	if v := verdict(); v != cookie.DropNoKey {
		t.Errorf("closed (A35): %v", v)
	}
}

// A forced cookie costs one more round trip of the handshake (A26).
func TestForcedCookie(t *testing.T) {
	net, a, b := pair(t)
	on := true
	b.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &on}})
	var kinds []byte
	net.Filter(func(_, _ netip.AddrPort, b *batch.Batch) bool { kinds = append(kinds, b.Data[0]); return true })
	a.inject(b, "hello")
	eventually(t, "the cookie is there", func() bool { return a.status(b).TxBytes > 0 && b.conn().Sent() == 1 })
	time.Sleep(20 * time.Millisecond)
	a.sleep(6 * time.Second)
	b.await("hello")
	if want := []byte{1, 3, 1, 2, 4}; string(kinds[:5]) != string(want) {
		t.Errorf("messages %v, want %v", kinds, want)
	}
}
