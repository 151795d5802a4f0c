package cookie

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

const (
	start    clock.Time = 1_000_000_000
	capacity            = 4096
	light               = capacity/8 - 1 // queued, and no load
	heavy               = capacity / 8   // queued, and load
)

var (
	here  = netip.MustParseAddrPort("192.0.2.1:1000")
	owner = key.Public{1, 2, 3}
)

// judge calls Check and Admit in sequence.
func (g *Gate) judge(now clock.Time, from netip.AddrPort, msg []byte, queued, capacity int) (Verdict, []byte) {
	if v := g.Check(msg); v != Admit {
		return v, nil
	}
	return g.Admit(now, from, msg, queued, capacity)
}

// random returns a source whose bytes differ between reads, but not between runs.
func random() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{7}) }

// messages returns a message of each type, with MACs made by m at now.
func messages(m *Maker, now clock.Time) map[wire.Type][]byte {
	first := (&wire.Initiation{Sender: 0x11223344}).AppendTo(nil)
	second := (&wire.Response{Sender: 0x55667788, Receiver: 1}).AppendTo(nil)
	m.AddMACs(now, first)
	m.AddMACs(now, second)
	return map[wire.Type][]byte{wire.TypeInitiation: first, wire.TypeResponse: second}
}

func initiation(m *Maker, now clock.Time) []byte { return messages(m, now)[wire.TypeInitiation] }

// A22, A23, A27, A30: the order of the gate's checks, for both messages.
func TestGate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(msg []byte) []byte
		from   netip.AddrPort
		queued int
		want   Verdict
	}{
		{"good, idle", nil, here, 0, Admit},
		{"good, just below load", nil, here, light, Admit},
		{"invalid mac2 when idle is ignored", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, here, 0, Admit},
		{"no mac2 under load", nil, here, heavy, Reply},
		{"no mac2, queue full: a cookie reply all the same", nil, here, capacity, Reply},
		{"wrong mac2 under load", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, here, heavy, Reply},
		{"wrong mac1, idle", func(b []byte) []byte { b[len(b)-32] ^= 1; return b }, here, 0, DropMAC1},
		{"wrong mac1 under load", func(b []byte) []byte { b[len(b)-17] ^= 0x80; return b }, here, heavy, DropMAC1},
		{"changed under mac1", func(b []byte) []byte { b[4] ^= 1; return b }, here, heavy, DropMAC1},
		{"too long", func(b []byte) []byte { return append(b, 0) }, here, heavy, DropMalformed},
		{"too short", func(b []byte) []byte { return b[:len(b)-1] }, here, heavy, DropMalformed},
		{"reserved byte set", func(b []byte) []byte { b[1] = 1; return b }, here, heavy, DropMalformed},
		{"empty", func([]byte) []byte { return nil }, here, heavy, DropMalformed},
		{"no source address", nil, netip.AddrPort{}, heavy, DropMalformed},
	} {
		for kind := range messages(&Maker{}, start) {
			m := NewMaker(owner)
			msg := messages(m, start)[kind]
			if c.change != nil {
				msg = c.change(msg)
			}
			g := NewGate(owner, random())
			got, reply := g.judge(start, c.from, msg, c.queued, capacity)
			if got != c.want {
				t.Errorf("%s, %s: got %s, want %s", c.name, kind, got, c.want)
			}
			// A6: only a cookie reply is ever sent, and it is shorter.
			if (reply != nil) != (got == Reply) || len(reply) > len(msg) {
				t.Errorf("%s, %s: got a reply of %d bytes with verdict %s", c.name, kind, len(reply), got)
			}
		}
	}
}

// A22: mac1 is valid for one owner, and without a key no message is for us.
func TestGateKeys(t *testing.T) {
	m := NewMaker(owner)
	msg := initiation(m, start)
	g := NewGate(key.Public{}, random())
	want := func(want Verdict) {
		t.Helper()
		if got, _ := g.judge(start, here, msg, 0, capacity); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	want(DropNoKey)
	g.SetKey(key.Public{9})
	want(DropMAC1)
	g.SetKey(owner)
	want(Admit)
	g.Erase()
	want(DropNoKey)
}

// withCookie returns a maker that holds a cookie from the gate.
func withCookie(t *testing.T, g *Gate, now clock.Time, from netip.AddrPort) *Maker {
	t.Helper()
	m := NewMaker(owner)
	msg := (&wire.Response{Sender: 0x55667788}).AppendTo(nil)
	m.AddMACs(now, msg)
	got, reply := g.judge(now, from, msg, heavy, capacity)
	if got != Reply {
		t.Fatalf("got %s, want a cookie reply", got)
	}
	if decoded, ok := wire.DecodeCookieReply(reply); !ok || decoded.Receiver != 0x55667788 {
		t.Fatalf("the reply is for index %#x, want 0x55667788", decoded.Receiver)
	}
	if !m.Consume(now, reply) {
		t.Fatal("the reply is not accepted")
	}
	return m
}

// A23, A24, A26, A27: after a cookie reply, the next message of either type has a
// mac2 and is admitted.
func TestCookieOpensTheGate(t *testing.T) {
	g := NewGate(owner, random())
	m := withCookie(t, g, start, here)
	for kind, msg := range messages(m, start) {
		if got, _ := g.judge(start, here, msg, heavy, capacity); got != Admit {
			t.Errorf("%s with a cookie: got %s, want %s", kind, got, Admit)
		}
	}
	if got, _ := g.judge(start, here, initiation(m, start), capacity, capacity); got != DropFull {
		t.Errorf("queue full: got %s, want %s", got, DropFull)
	}
}

// B5, B42, A24: a cookie is for one address and one port.
func TestCookieIsForOneSource(t *testing.T) {
	g := NewGate(owner, random())
	six := netip.MustParseAddrPort("[2001:db8::1]:1000")
	for _, c := range []struct {
		got, used netip.AddrPort
		want      Verdict
	}{
		{here, here, Admit},
		{here, netip.AddrPortFrom(netip.AddrFrom16(here.Addr().As16()), 1000), Admit}, // IPv4-mapped is IPv4 (A54)
		{here, netip.MustParseAddrPort("192.0.2.1:1001"), Reply},
		{here, netip.MustParseAddrPort("192.0.2.1:1256"), Reply},
		{here, netip.MustParseAddrPort("192.0.2.2:1000"), Reply},
		{here, six, Reply},
		{six, six, Admit},
		{six, netip.MustParseAddrPort("[2001:db8::1]:1001"), Reply},
		{six, netip.MustParseAddrPort("[2001:db8::2]:1000"), Reply},
		{six, here, Reply},
	} {
		m := withCookie(t, g, start, c.got)
		withCookie(t, g, start, c.used) // the cookie handed out last decides nothing
		if got, _ := g.judge(start, c.used, initiation(m, start), heavy, capacity); got != c.want {
			t.Errorf("cookie of %v used from %v: %s, want %s", c.got, c.used, got, c.want)
		}
	}
}

// A24: a secret, and so a cookie, is used for less than 120 s.
func TestCookieAges(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		mac2  bool
		want  Verdict
	}{
		{119 * time.Second, true, Admit},
		{maxAge - 1, true, Admit},
		{maxAge, false, Reply},
	} {
		g := NewGate(owner, random())
		m := withCookie(t, g, start, here)
		later := start.Add(c.after)
		msg := initiation(m, later)
		if got := !bytes.Equal(msg[132:], make([]byte, 16)); got != c.mac2 {
			t.Errorf("after %v mac2 set: %t, want %t", c.after, got, c.mac2)
		}
		if got, _ := g.judge(later, here, msg, heavy, capacity); got != c.want {
			t.Errorf("after %v: %s, want %s", c.after, got, c.want)
		}
	}
	// The receiver's clock decides: a cookie made late in the life of a secret
	// expires with that secret.
	g := NewGate(owner, random())
	withCookie(t, g, start, here)
	m := withCookie(t, g, start.Add(100*time.Second), here)
	if got, _ := g.judge(start.Add(maxAge), here, initiation(m, start.Add(maxAge)), heavy, capacity); got != Reply {
		t.Errorf("cookie of the last secret: got %s, want %s", got, Reply)
	}
}

// A24, A25, B38: a new secret is 32 random bytes, each reply's nonce 24 more.
func TestRandomBytesOfCookies(t *testing.T) {
	counting := &counter{left: 1 << 20}
	g := NewGate(owner, counting)
	read := func(now clock.Time, want int) {
		t.Helper()
		before := counting.left
		m := NewMaker(owner)
		if got, _ := g.judge(now, here, initiation(m, now), heavy, capacity); got != Reply {
			t.Fatal(got)
		}
		if got := before - counting.left; got != want {
			t.Errorf("read %d random bytes, want %d", got, want)
		}
	}
	read(start, 32+24)
	read(start, 24)
	read(start.Add(maxAge-1), 24)
	read(start.Add(maxAge), 32+24)

	counting.left = 20
	m := NewMaker(owner)
	if got, reply := g.judge(start, here, initiation(m, start), heavy, capacity); got != DropRandom || reply != nil {
		t.Errorf("without random bytes: got %s, want %s", got, DropRandom)
	}
}

type counter struct{ left int }

func (c *counter) Read(b []byte) (int, error) {
	if len(b) > c.left {
		return 0, errors.New("no more")
	}
	c.left -= len(b)
	for i := range b {
		b[i] = byte(c.left + i)
	}
	return len(b), nil
}

// A28, B7: load begins at one eighth, lasts a second, and clears, however
// many handshakes there were.
func TestLoadBeginsLastsAndClears(t *testing.T) {
	g := NewGate(owner, random())
	m := NewMaker(owner)
	admit := func(now clock.Time, queued int) Verdict {
		got, _ := g.judge(now, here, initiation(m, now), queued, capacity)
		return got
	}
	for i := range 1000 {
		if got := admit(start.Add(time.Duration(i)*time.Millisecond), light); got != Admit {
			t.Fatalf("handshake %d without load: %s", i, got)
		}
	}
	t0 := start.Add(10 * time.Second)
	for _, c := range []struct {
		at     time.Duration
		queued int
		want   Verdict
	}{
		{0, heavy, Reply},
		{time.Second - 1, 0, Reply},
		{time.Second, 0, Admit},
		{2 * time.Second, capacity, Reply},
		{2500 * time.Millisecond, heavy, Reply}, // goes on
		{3499 * time.Millisecond, 0, Reply},
		{3500 * time.Millisecond, 0, Admit},
	} {
		if got := admit(t0.Add(c.at), c.queued); got != c.want {
			t.Errorf("%v later, %d queued: %s, want %s", c.at, c.queued, got, c.want)
		}
	}
	g.SetForce(true)
	if got := admit(t0.Add(time.Hour), 0); got != Reply {
		t.Errorf("forced: %s", got)
	}
	g.SetForce(false)
	if got := admit(t0.Add(time.Hour), 0); got != Admit {
		t.Errorf("no longer forced: %s", got)
	}
}

// A28: the share of a queue too small to be divided, and an empty queue.
func TestLoadOfSmallQueues(t *testing.T) {
	m := NewMaker(owner)
	for _, c := range []struct {
		queued, capacity int
		want             Verdict
	}{{0, 1, Admit}, {0, 0, Admit}, {1, 4, Reply}, {1, 8, Reply}, {1, 16, Admit}, {2, 16, Reply}} {
		g := NewGate(owner, random())
		if got, _ := g.judge(start, here, initiation(m, start), c.queued, c.capacity); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.queued, c.capacity, got, c.want)
		}
	}
}

// A29, A30, B6, B26: a flooder with a cookie is held to its rate, and
// another source is not affected.
func TestFlooderDoesNotStarveOthers(t *testing.T) {
	g := NewGate(owner, random())
	flooder, peer := withCookie(t, g, start, here), netip.MustParseAddrPort("198.51.100.1:5")
	admitted := 0
	for i := range 1000 { // over one second
		now := start.Add(time.Duration(i) * time.Millisecond)
		switch got, _ := g.judge(now, here, initiation(flooder, now), heavy, capacity); got {
		case Admit:
			admitted++
		case DropRate:
		default:
			t.Fatal(got)
		}
	}
	if admitted != 5+19 {
		t.Errorf("%d handshakes in a second, want the burst of 5 and then 20 a second", admitted)
	}
	now := start.Add(time.Second)
	m := withCookie(t, g, now, peer)
	if got, _ := g.judge(now, peer, initiation(m, now), heavy, capacity); got != Admit {
		t.Errorf("another source during the flood: got %s, want %s", got, Admit)
	}
	// A30: without load there is no limit, and the limiter's state is freed.
	now = now.Add(loadLasts)
	for range 100 {
		if got, _ := g.judge(now, here, initiation(flooder, now), 0, capacity); got != Admit {
			t.Fatalf("without load: %s", got)
		}
	}
	if n := len(g.limiter.at); n != 0 {
		t.Errorf("%d sources are kept without load, want none", n)
	}
}

// A6, A22: Check decides at once, and Admit later. If the owner has changed
// in between, nothing is answered without a key, and nothing panics.
func TestGateInTwoParts(t *testing.T) {
	m := NewMaker(owner)
	msg := initiation(m, start)
	g := NewGate(owner, random())
	if got := g.Check(msg); got != Admit {
		t.Fatal(got)
	}
	for _, c := range []struct {
		queued int
		want   Verdict
	}{{light, Admit}, {heavy, Reply}} {
		if got, _ := g.Admit(start, here, msg, c.queued, capacity); got != c.want {
			t.Errorf("%d queued: got %s, want %s", c.queued, got, c.want)
		}
	}
	g.SetKey(key.Public{})
	if got, reply := g.Admit(start, here, msg, heavy, capacity); got != DropRandom || reply != nil {
		t.Errorf("without a key: got %s and %d bytes", got, len(reply))
	}
	if got := g.Check(msg); got != DropNoKey {
		t.Errorf("without a key: got %s", got)
	}
	g.SetKey(key.Public{9})
	if got := g.Check(msg); got != DropMAC1 {
		t.Errorf("another owner: got %s", got)
	}
}

// A23: a sender without a cookie leaves mac2 zero.
func TestHasMAC2(t *testing.T) {
	msg := initiation(NewMaker(owner), start)
	if HasMAC2(msg) {
		t.Error("HasMAC2 reports true for zeros")
	}
	for i := range 16 {
		msg[len(msg)-16+i] = 1
		if !HasMAC2(msg) {
			t.Errorf("HasMAC2 ignores byte %d", i)
		}
		msg[len(msg)-16+i] = 0
	}
}
