package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

var forger = netip.MustParseAddrPort("203.0.113.66:6666")

// lowOrder returns the encodings of the points of order 8 or less, also with
// bit 255 set, which X25519 ignores (A10).
func lowOrder() (list [][32]byte) {
	list = [][32]byte{
		{},
		{1},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
			0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
		{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
			0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	}
	for _, low := range []byte{0xec, 0xed, 0xee} { // p-1, p, p+1
		p := [32]byte{0: low, 31: 0x7f}
		for i := 1; i < 31; i++ {
			p[i] = 0xff
		}
		list = append(list, p)
	}
	for _, p := range slices.Clone(list) {
		p[31] |= 0x80
		list = append(list, p)
	}
	return list
}

// snapshot returns all state that unauthenticated input must not change (A7). It is
// without the counts of what was refused, which are observations.
func snapshot(h *Host) string {
	s := fmt.Sprint(h.Index.Len(), h.Machine.NextTimeout(), h.Counts.Sent, len(h.Got))
	for i, p := range h.Machine.Peers() {
		received, sent := p.Bytes()
		status := h.Machine.Status(h.Time()).Peers[i]
		status.Observations = nil
		s += fmt.Sprint(status, *p.Sessions(), p.Endpoint(), received, sent,
			p.LastReceived(), p.LastSent(), p.Unanswered(), p.Unreplied(), p.NextLook())
	}
	return s
}

// checkUnaffected injects messages to h from another address, and fails if h
// sends anything or changes state.
func checkUnaffected(t *testing.T, n *Internet, h *Host, what string, messages ...[]byte) {
	t.Helper()
	n.Run(0)
	before := snapshot(h)
	for _, msg := range messages {
		n.Inject(forger, h.Addr(), msg)
	}
	n.Run(10 * time.Millisecond)
	if after := snapshot(h); after != before {
		t.Errorf("%s (%d messages): the state changed to\n%s\nfrom\n%s", what, len(messages), after, before)
	}
}

// initiation returns an initiation from the owner of private to the owner of
// to. modify, if set, changes it before it gets a valid mac1.
func (n *Internet) initiation(private key.Private, to key.Public, stamp time.Time, modify func(*wire.Initiation)) []byte {
	var ephemeral [32]byte
	for i := range ephemeral {
		ephemeral[i] = byte(n.Rand.Uint32())
	}
	msg, _, err := noise.CreateInitiation(nil, noise.NewStatic(private), noise.NewRemote(to), &ephemeral, n.Rand.Uint32(), wire.StampAt(stamp))
	if err != nil {
		panic(err)
	}
	if modify != nil {
		modify(msg)
	}
	return withMAC1(msg.AppendTo(nil), to)
}

// withMAC1 writes a valid mac1 into msg and returns it.
func withMAC1(msg []byte, to key.Public) []byte {
	maker := cookie.NewMaker(to)
	maker.AddMACs(1, msg)
	return msg
}

// A5, A7: unauthenticated messages are not answered and change nothing: no
// endpoint, timer, key, window, counter or index.
func TestSilence(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.Default.Delay = 5 * time.Millisecond
	a.Send(b, "x")
	n.Run(20 * time.Millisecond)
	b.Send(a, "y")
	n.Run(time.Minute) // until no timer is left but those of the keys
	stranger := n.newHost()
	tomorrow := Epoch.Add(24 * time.Hour)

	for _, p := range lowOrder() {
		checkUnaffected(t, n, b, "low-order ephemeral", n.initiation(a.Private, b.Public(), tomorrow, func(m *wire.Initiation) { m.Ephemeral = p }))
	}
	for _, c := range []struct {
		what string
		msg  []byte
	}{
		{"unknown static key", n.initiation(stranger.Private, b.Public(), tomorrow, nil)},
		{"for another responder", n.initiation(a.Private, stranger.Public(), tomorrow, nil)},
		{"wrong mac1", flipBit(n.initiation(a.Private, b.Public(), tomorrow, nil), 148-32)},
		{"static AEAD", n.initiation(a.Private, b.Public(), tomorrow, func(m *wire.Initiation) { m.Static[3] ^= 1 })},
		{"stamp AEAD", n.initiation(a.Private, b.Public(), tomorrow, func(m *wire.Initiation) { m.Timestamp[3] ^= 1 })},
		{"old stamp", n.initiation(a.Private, b.Public(), Epoch.Add(-time.Second), nil)},
	} {
		checkUnaffected(t, n, b, c.what, c.msg)
	}
	everything := append(a.Sent, b.Sent...)
	for _, h := range []*Host{a, b} {
		for i := range everything {
			checkUnaffected(t, n, h, "replay of "+everything[i].Type().String(), everything[i].Data)
		}
	}
	for i := range everything {
		msg := everything[i].Data
		for at := range msg {
			checkUnaffected(t, n, b, "one bit wrong", flipBit(msg, at))
		}
		if everything[i].Type() != wire.TypeData {
			for at := 4; at < len(msg)-32; at++ {
				checkUnaffected(t, n, b, "one bit wrong, valid mac1", withMAC1(flipBit(msg, at), b.Public()))
			}
		}
	}
	if got := b.Counts.Sent; got[wire.TypeResponse] != 1 || got[wire.TypeData] != 1 || n.Now() > 2*time.Minute {
		t.Errorf("b sent %v by %v, want one response and one data message within 2 minutes", got, n.Now())
	}
	equal(t, "b", b.Payloads(), []string{"x"})
}

func flipBit(msg []byte, at int) []byte {
	bad := slices.Clone(msg)
	bad[at] ^= 0x10
	return bad
}

// A1, A2, A4: garbage of any length, with any first bytes, has no effect.
func TestGarbage(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.Default.Delay = time.Millisecond
	a.Send(b, "x")
	n.Run(time.Minute)
	index := b.Peer(a).Sessions().Current.Local
	var messages [][]byte
	for size := range 2000 {
		msg := make([]byte, size)
		for i := range msg {
			msg[i] = byte(n.Rand.Uint32())
		}
		if size >= 16 && size%2 == 0 {
			wire.PutDataHeader(msg, index, uint64(size))
		} else if size > 4 {
			copy(msg, []byte{byte(size % 6), 0, 0, 0})
		}
		messages = append(messages, msg)
	}
	for _, size := range []int{4096, 4097, 9000, 65507} {
		messages = append(messages, make([]byte, size))
	}
	checkUnaffected(t, n, b, "garbage", messages...)
	a.Send(b, "y")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x", "y"})
}

// A6: under load, a message with a valid mac1 is answered with no more bytes
// than it has, and others are not answered. Still nothing changes (A7).
func TestNoAmplificationUnderLoad(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	stranger := n.newHost()
	force := true
	b.Must(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &force}})
	good := n.initiation(stranger.Private, b.Public(), Epoch.Add(time.Hour), nil)
	response := withMAC1((&wire.Response{Sender: 1, Receiver: 2}).AppendTo(nil), b.Public())
	for _, c := range []struct {
		name    string
		msg     []byte
		replies int
	}{
		{"initiation", good, 1},
		{"response", response, 1}, // A27
		{"initiation, wrong mac1", flipBit(good, 20), 0},
		{"response, wrong mac1", flipBit(response, 20), 0},
		{"data", a.SentOf(wire.TypeData)[0].Data, 0},
		{"cookie reply", (&wire.CookieReply{Receiver: b.Peer(a).Sessions().Current.Local}).AppendTo(nil), 0},
		{"nothing", nil, 0},
	} {
		before, bytes := b.Counts, b.Counts.SentBytes
		n.Inject(forger, b.Addr(), c.msg)
		n.Run(100 * time.Millisecond)
		got := b.Counts.Sent[wire.TypeCookieReply] - before.Sent[wire.TypeCookieReply]
		if got != c.replies || b.Counts.SentBytes-bytes > len(c.msg) {
			t.Errorf("%s of %d bytes: %d cookie replies, want %d; %d bytes sent", c.name, len(c.msg), got, c.replies, b.Counts.SentBytes-bytes)
		}
	}
	if b.Status(a).Endpoint != a.Addr() {
		t.Error("the endpoint moved")
	}
}

// A10, A11: a peer with a key of low order can be configured. Nothing is sent
// to it, and other peers are not affected.
func TestPeersOfLowOrder(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	keepalive := uint16(1)
	var sink = netip.MustParseAddrPort("203.0.113.9:1")
	for i, p := range lowOrder() {
		a.Must(conf.Change{Peers: []conf.PeerChange{{
			PublicKey: key.Public(p), Endpoint: &sink, PersistentKeepalive: &keepalive,
			AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(i)}), 32)}},
		}}})
	}
	for i := range lowOrder() {
		a.Give(Inner(a.Inner4, netip.AddrFrom4([4]byte{172, 16, 0, byte(i)}), []byte("x"), 0))
	}
	a.Send(b, "x")
	n.Run(time.Hour)
	for _, d := range a.Sent {
		if d.To == sink {
			t.Fatalf("a %v was sent to a peer with a key of low order", d.Type())
		}
	}
	equal(t, "b", b.Payloads(), []string{"x"})
	for _, s := range a.Machine.Status(a.Time()).Peers[1:] {
		if s.TxBytes != 0 {
			t.Errorf("%d bytes counted as sent, want 0", s.TxBytes)
		}
	}
}

// openStamp decrypts the stamp of an initiation as its responder does.
func openStamp(h *Host, raw []byte) (wire.TAI64N, bool) {
	msg, ok := wire.DecodeInitiation(raw)
	if !ok {
		return wire.TAI64N{}, false
	}
	static := noise.NewStatic(h.Private)
	public, state, err := noise.ConsumeInitiationStatic(nil, static, &msg)
	if err != nil {
		return wire.TAI64N{}, false
	}
	stamp, _, err := state.Finish(nil, static, noise.NewRemote(public))
	return stamp, err == nil
}
