package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// Setting the same private key again changes nothing. After another one is set, the
// next packet starts a handshake at once. // A58, B23
func TestPrivateKeyChangedLive(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	wire := b.Watch("eth0")
	b.Ping(lab.InnerA4, 1)
	b.Must("wgconfig wg0 set private-key /etc/wg/wg0")
	b.Ping(lab.InnerA4, 2)
	if s := sessions(b.Watched(wire)); len(s) != 1 {
		t.Errorf("%d sessions after the same key was set again, want one", len(s))
	}

	// A gets a peer with the new key while the old peer still exists.
	tb.Public = strings.TrimSpace(b.Must("umask 077; wg-keygen > /etc/wg/new && wg-keygen --pub < /etc/wg/new"))
	a.Must("wgconfig wg0 add peer b2 %s --allowed-ips=10.2.0.2/32,fd00:2::2/128", tb.Public)
	b.Must("wgconfig wg0 set private-key /etc/wg/new")
	if took := b.PingWithin(15*time.Second, lab.InnerA4); took > 4*time.Second { // a repeated initiation would come after 5 s
		t.Errorf("the first ping under the new key took %v, want at once", took)
	}
	a.Ping(lab.InnerB4, 1)
	if p := ta.Peer(tb); p.Handshake.IsZero() {
		t.Error("A has no handshake with the new key")
	}
	contains(t, b.Must("wgconfig wg0 show private-key"), strings.TrimSpace(b.Must("cat /etc/wg/new")))
}

// If a preshared key is changed during a session, the session remains. The next
// handshake needs the same key on both sides. // A15, B11
func TestPresharedKeyChangedLive(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	a.Must("umask 077; wg-keygen --psk > /etc/wg/right; wg-keygen --psk > /etc/wg/wrong")
	b.Write("/etc/wg/right", a.Must("cat /etc/wg/right"))
	wire := b.Watch("eth0")
	b.Ping(lab.InnerA4, 1)

	set := func(h *lab.Host, peer, file string) {
		h.Must("wgconfig wg0 set peer %s --preshared-key=%s", peer, file)
	}
	set(b, "a", "/etc/wg/right")
	b.Ping(lab.InnerA4, 2)
	if s := sessions(b.Watched(wire)); len(s) != 1 {
		t.Errorf("%d sessions after the preshared key was changed, want one", len(s))
	}

	// B has the right key. A has none, a wrong one, the right one. Each time there is a
	// new session.
	newSession := func() {
		b.Must("wg-ifconfig wg0 down && wg-ifconfig wg0 up")
		b.AwaitAddresses("wg0")
	}
	newSession()
	b.NoPing(lab.InnerA4)
	set(a, "b", "/etc/wg/wrong")
	newSession()
	b.NoPing(lab.InnerA4)
	set(a, "b", "/etc/wg/right")
	newSession()
	b.PingWithin(15*time.Second, lab.InnerA4)
	a.Ping(lab.InnerB6, 1)

	out := b.Must("wgconfig wg0 show peer a")
	contains(t, out, "preshared-key: (hidden)")
	contains(t, b.Must("wgconfig wg0 show peer a --show-preshared-key"), "preshared-key: "+strings.TrimSpace(a.Must("cat /etc/wg/right")))
	if p := tb.Peer(ta).PSK; p != strings.TrimSpace(b.Must("cat /etc/wg/right")) {
		t.Errorf("wg shows the preshared key %q", p)
	}
}

// Removing a peer ends its traffic at once. When it is added again, a new session
// begins. // A35, A57
func TestPeerRemoved(t *testing.T) {
	t.Parallel()
	a, b, _, tb := pair(t)
	b.Ping(lab.InnerA4, 2)
	a.Must("wgconfig wg0 delete peer b")
	b.NoPing(lab.InnerA4)
	a.Fails(1, "wgconfig wg0 delete peer b", "wg0 has no such peer")
	a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32,fd00:2::2/128", tb.Public)
	b.Must("wg-ifconfig wg0 down up") // otherwise it notices after 15 s
	b.PingWithin(12*time.Second, lab.InnerA4)

	// A peer with our own public key is ignored. A private key that is that of a peer
	// removes the peer.
	own := strings.TrimSpace(a.Must("wg-keygen --pub < /etc/wg/wg0"))
	a.Run("wg set wg0 peer " + own + " allowed-ips 10.2.0.66/32")
	if strings.Contains(a.Must("wg show wg0 peers"), own) {
		t.Error("there is a peer with our own key")
	}
	a.Write("/etc/wg/stolen", b.Must("cat /etc/wg/wg0"))
	a.Must("wgconfig wg0 set private-key /etc/wg/stolen")
	if strings.Contains(a.Must("wg show wg0 peers"), tb.Public) {
		t.Error("the peer whose private key became ours still exists")
	}
}

// Rekeying under traffic in both directions loses no packets. // A32, A33, A43, B47
func TestRekeyUnderTraffic(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	for _, h := range []*lab.Host{a, b} {
		h.Must("wgconfig wg0 sysctl -w net.wg.rekey_after_time=2 net.wg.rekey_timeout=1")
	}
	b.Ping(lab.InnerA4, 1)
	wire := b.Watch("eth0")
	inA, inB := a.Collect(4000), b.Collect(4000)
	fa := a.StartFlow(lab.Flow{Remote: addrPort("10.2.0.2:4000"), Size: 300, Interval: 2 * time.Millisecond})
	fb := b.StartFlow(lab.Flow{Remote: addrPort("[fd00:2::1]:4000"), Size: 300, Interval: 2 * time.Millisecond})
	time.Sleep(9 * time.Second)
	sa, sb := a.StopFlow(fa), b.StopFlow(fb)
	if s := summarize(b, inB, sa); s.Lost > 0 || s.Twice > 0 || s.Late > 0 {
		t.Errorf("A to B, %d sent: %v", sa.Sent, s)
	}
	if s := summarize(a, inA, sb); s.Lost > 0 || s.Twice > 0 || s.Late > 0 {
		t.Errorf("B to A, %d sent: %v", sb.Sent, s)
	}
	if n := len(sessions(b.Watched(wire))); n < 3 {
		t.Errorf("%d sessions in 9 s, want at least 3", n)
	}
}
