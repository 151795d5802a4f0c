package names_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/resolve/names"
	"wgd/key"
)

const start = clock.Time(1000 * time.Second)

// A bench is a Machine on virtual time, with a name server that answers when the
// test says so.
type bench struct {
	*testing.T
	*names.Machine
	now  clock.Time
	asks []string // since they were last looked at
	uses []string // "peer endpoint", and "moved" where a handshake is due
}

func newBench(t *testing.T) *bench {
	return &bench{T: t, Machine: names.New(bytes.NewReader(nil)), now: start}
}

func id(n int) (k key.Public) {
	k[0], k[1], k[2] = byte(n), byte(n>>8), byte(n>>16)
	return k
}

func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func (b *bench) drain() {
	for {
		name, ok := b.NextAsk(b.now)
		if !ok {
			break
		}
		b.asks = append(b.asks, name)
	}
	for {
		u, ok := b.NextUse()
		if !ok {
			break
		}
		text := fmt.Sprintf("%d %v", int(u.Peer[0])|int(u.Peer[1])<<8|int(u.Peer[2])<<16, u.Endpoint)
		if u.Moved {
			text += " moved"
		}
		b.uses = append(b.uses, text)
	}
}

// after lets time pass and drains the outputs at every moment that the machine asks
// for.
func (b *bench) after(d time.Duration) {
	end := b.now.Add(d)
	for b.drain(); b.NextTimeout() <= end; b.drain() {
		if next := b.NextTimeout(); next > b.now {
			b.now = next
		} else {
			b.Fatalf("the machine has a timeout at %v, which is not after %v", next.Sub(start), b.now.Sub(start))
		}
	}
	b.now = end
	b.drain()
}

func (b *bench) expectAsks(when string, want ...string) {
	b.Helper()
	b.drain()
	if !slices.Equal(b.asks, want) {
		b.Errorf("%s: names looked up: %q, want %q", when, b.asks, want)
	}
	b.asks = nil
}

func (b *bench) expectUses(when string, want ...string) {
	b.Helper()
	b.drain()
	if !slices.Equal(b.uses, want) {
		b.Errorf("%s: endpoints used: %q, want %q", when, b.uses, want)
	}
	b.uses = nil
}

// answer is an answer with a TTL in seconds.
func (b *bench) answer(name string, ttl int, addrs ...string) {
	b.Answered(b.now, name, answer(ttl, addrs...))
	b.drain()
}

func answer(ttl int, addrs ...string) names.Answer {
	a := names.Answer{TTL: time.Duration(ttl) * time.Second}
	for _, s := range addrs {
		a.Addresses = append(a.Addresses, netip.MustParseAddr(s))
	}
	return a
}

// next checks what Unanswered or Refused return: an endpoint, or "".
func (b *bench) next(when string, got netip.AddrPort, ok bool, want string) {
	b.Helper()
	if ok != (want != "") || got != addrPort(want) {
		b.Errorf("%s: the next endpoint is %v, %v, want %q", when, got, ok, want)
	}
}

func (b *bench) unanswered(when string, n int, want string) {
	b.Helper()
	got, ok := b.Unanswered(b.now, id(n))
	b.next(when, got, ok, want)
}

// follow returns a bench on which peer 1 uses the first address of a.example.
func follow(t *testing.T, ttl int, addrs ...string) *bench {
	t.Helper()
	b := newBench(t)
	b.Set(b.now, id(1), "a.example", 7, netip.AddrPort{})
	b.drain()
	b.answer("a.example", ttl, addrs...)
	b.asks, b.uses = nil, nil
	return b
}

// A name is looked up at once, without anything waiting for it; the peer gets its
// first address. A63, B63
func TestFirstLookup(t *testing.T) {
	b := newBench(t)
	b.Set(b.now, id(1), "A.Example", 7, netip.AddrPort{})
	b.expectAsks("at once", "a.example")
	b.expectUses("without an answer")
	b.answer("a.example", 60, "192.0.2.1", "2001:db8::1")
	b.expectUses("with the answer", "1 [2001:db8::1]:7")
	b.Set(b.now, id(1), "a.EXAMPLE", 7, netip.AddrPort{}) // reload
	b.expectAsks("the same name again")
	b.expectUses("the same name again")
	b.Set(b.now, id(1), "a.example", 8, addrPort("[2001:db8::1]:7"))
	b.expectUses("another port", "1 [2001:db8::1]:8 moved")
	b.Set(b.now, id(1), "b.example", 8, addrPort("[2001:db8::1]:8"))
	b.expectAsks("another name", "b.example")
	b.Remove(id(1))
	b.Remove(id(1))
	b.answer("b.example", 60, "192.0.2.1") // too late
	b.answer("c.example", 60, "192.0.2.1") // never asked
	b.after(time.Hour)
	b.expectUses("without a peer")
	b.expectAsks("without a peer")
	if at := b.NextTimeout(); at != clock.Never {
		t.Errorf("without a peer there is a timeout, at %v", at.Sub(start))
	}
}

// A peer that has an endpoint keeps it if it is one of the name's.
func TestFirstAnswerKeepsTheEndpoint(t *testing.T) {
	b := newBench(t)
	b.Set(b.now, id(1), "a.example", 7, addrPort("192.0.2.1:7"))
	b.Set(b.now, id(2), "a.example", 7, addrPort("192.0.2.9:7"))
	b.Set(b.now, id(3), "a.example", 7, addrPort("192.0.2.1:6"))
	b.drain()
	b.answer("a.example", 60, "2001:db8::1", "192.0.2.1")
	b.expectUses("", "2 [2001:db8::1]:7 moved", "3 [2001:db8::1]:7 moved")
}

// A name is looked up again after its TTL, also where a caching name server says
// what is left of it. The TTL 0 means that nothing is known, or that the TTL is
// just over.
func TestAfterTTL(t *testing.T) {
	b := follow(t, 60, "192.0.2.1")
	b.after(60*time.Second - 1)
	b.expectAsks("before the TTL is over")
	b.after(1)
	b.expectAsks("after the TTL", "a.example")
	for _, c := range []struct {
		ttl  int
		want time.Duration
	}{{23, 23 * time.Second}, {1, time.Second}, {60, time.Minute}, {0, time.Second}, {0, 15 * time.Second}, {0, 15 * time.Second}, {5, 5 * time.Second}, {0, time.Second}, {86400, 24 * time.Hour}} {
		b.answer("a.example", c.ttl, "192.0.2.1")
		if got := b.NextTimeout().Sub(b.now); got != c.want {
			t.Errorf("with the TTL %d, the next lookup is after %v, want %v", c.ttl, got, c.want)
		}
		b.after(c.want)
		b.expectAsks("", "a.example")
	}
	b.expectUses("while nothing changes")
}

// A changed record is in use as soon as the TTL is over; the order of the addresses
// is no change, and one more is none for a peer whose address still stands there.
func TestChangedRecordAfterTTL(t *testing.T) {
	b := follow(t, 60, "192.0.2.1", "192.0.2.2")
	b.Heard(id(1), addrPort("192.0.2.1:7"))
	b.after(time.Minute)
	b.answer("a.example", 60, "192.0.2.2", "192.0.2.1")
	b.after(time.Minute)
	b.answer("a.example", 60, "2001:db8::1", "192.0.2.3", "192.0.2.1")
	b.after(time.Minute)
	b.expectUses("the address still stands there")
	b.answer("a.example", 60, "192.0.2.3", "2001:db8::1")
	b.expectUses("it does not any more", "1 [2001:db8::1]:7 moved")
	// The old one is still good: if the new ones do not answer, it is tried as well.
	b.after(5 * time.Second)
	b.unanswered("first", 1, "192.0.2.3:7")
	b.unanswered("second", 1, "192.0.2.1:7")
	b.Heard(id(1), addrPort("192.0.2.1:7"))
	b.after(time.Minute)
	b.answer("a.example", 60, "192.0.2.3", "2001:db8::1")
	b.expectUses("nothing has changed since")
}

// A changed record is in use within 15 s of silence: the name is looked up when the
// peer is silent, and the answer is there before the handshake, and at the latest
// when the first handshake is due.
func TestChangedRecordAfterSilence(t *testing.T) {
	b := follow(t, 3600, "192.0.2.1")
	b.Heard(id(1), addrPort("192.0.2.1:7"))
	b.after(100 * time.Second) // the record changes, the last packet arrives
	b.after(10 * time.Second)
	b.Silent(b.now, id(1))
	b.expectAsks("after 10 s of silence", "a.example")
	b.after(2 * time.Second)
	b.answer("a.example", 3600, "192.0.2.2")
	b.expectUses("after 12 s of silence", "1 192.0.2.2:7 moved")

	b = follow(t, 3600, "192.0.2.1")
	b.after(100 * time.Second)
	b.unanswered("there is only one", 1, "")
	b.expectAsks("when a handshake fails", "a.example")
	b.answer("a.example", 3600, "192.0.2.1", "192.0.2.2")
	b.expectUses("a silent peer tries what is new", "1 192.0.2.2:7 moved")
}

// IPv6 and IPv4 addresses take turns, one for each handshake without an answer.
func TestBothFamiliesAreTried(t *testing.T) {
	b := newBench(t)
	b.Set(b.now, id(1), "a.example", 7, netip.AddrPort{})
	b.drain()
	b.answer("a.example", 3600, "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.2", "192.0.2.1")
	b.expectUses("first", "1 [2001:db8::1]:7")
	for range 2 {
		for _, want := range []string{"192.0.2.1:7", "[2001:db8::2]:7", "192.0.2.2:7", "[2001:db8::3]:7", "[2001:db8::1]:7"} {
			b.after(5 * time.Second)
			b.unanswered("", 1, want)
		}
	}
	b.Heard(id(1), addrPort("192.0.2.2:7"))
	b.after(time.Hour)
	b.answer("a.example", 3600, "2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.2", "192.0.2.1")
	b.expectUses("a working address stays")
}

// An address without a route is left at once, each one once, and then only with the
// next handshake.
func TestRefused(t *testing.T) {
	b := follow(t, 3600, "2001:db8::1", "192.0.2.1", "2001:db8::2")
	refused := func(when, want string) {
		t.Helper()
		got, ok := b.Refused(b.now, id(1))
		b.next(when, got, ok, want)
	}
	for range 2 {
		refused("IPv6", "192.0.2.1:7")
		refused("IPv4", "[2001:db8::2]:7")
		refused("all", "")
		refused("all", "")
		b.after(5 * time.Second)
		b.unanswered("5 s later", 1, "[2001:db8::1]:7")
	}
	refused("IPv6", "192.0.2.1:7")
	b.Heard(id(1), addrPort("192.0.2.1:7"))
	b.after(time.Hour)
	b.NetworkChanged(b.now)
	refused("IPv4, on another network", "[2001:db8::2]:7")
}

// A failed lookup is repeated for ever, with growing pauses; the addresses of the last
// answer stay, and so does the last good one.
func TestFailures(t *testing.T) {
	b := follow(t, 60, "192.0.2.1", "192.0.2.2")
	b.Heard(id(1), addrPort("192.0.2.3:9")) // roamed
	b.after(time.Minute)
	var pauses []string
	for range 8 {
		b.expectAsks("", "a.example")
		b.Failed(b.now, "a.example", 0, "no answer")
		pause := b.NextTimeout().Sub(b.now)
		pauses = append(pauses, pause.String())
		b.after(pause)
	}
	if got, want := strings.Join(pauses, " "), "1s 2s 4s 8s 16s 30s 30s 30s"; got != want {
		t.Errorf("the pauses are %s, want %s", got, want)
	}
	b.expectUses("while it fails")
	s, ok := b.Status(id(1))
	if !ok || s.Failure != "no answer" || s.Since != start.Add(time.Minute) || len(s.Addresses) != 2 || s.Endpoint != addrPort("192.0.2.3:9") {
		t.Errorf("status: %+v, %v", s, ok)
	}
	b.unanswered("", 1, "192.0.2.1:7")
	b.unanswered("", 1, "192.0.2.2:7")
	b.unanswered("the last good one", 1, "192.0.2.3:9")
	b.asks = nil
	for range 100000 { // more than a year
		b.Failed(b.now, "a.example", 0, "no answer")
		b.after(30 * time.Second)
		b.expectAsks("for ever", "a.example")
	}
	b.answer("a.example", 60, "192.0.2.1")
	if s, _ := b.Status(id(1)); s.Failure != "" || s.Since != 0 {
		t.Errorf("status after an answer: %+v", s)
	}
	b.after(time.Minute)
	b.asks = nil
	b.Failed(b.now, "a.example", 20*time.Second, "no such host")
	if got := b.NextTimeout().Sub(b.now); got != 20*time.Second {
		t.Errorf("the server repeats it for 20 s, the next lookup is after %v", got)
	}
	b.after(20 * time.Second)
	b.Failed(b.now, "a.example", 24*time.Hour, "no such host")
	if got := b.NextTimeout().Sub(b.now); got != 30*time.Second {
		t.Errorf("the server repeats it for a day, the next lookup is after %v", got)
	}
}

// That lookups begin to fail, fail for another reason, or succeed again is reported once,
// whatever happens in between.
func TestReports(t *testing.T) {
	b := follow(t, 60, "192.0.2.1")
	b.Set(b.now, id(2), "a.example", 7, netip.AddrPort{})
	var got []string
	for _, why := range []string{"", "no answer", "no answer", "no such host", "", "", "no answer"} {
		b.after(time.Minute)
		if why == "" {
			b.answer("a.example", 60, "192.0.2.1")
		} else {
			b.Failed(b.now, "a.example", 0, why)
		}
		for r, ok := b.NextReport(); ok; r, ok = b.NextReport() {
			got = append(got, fmt.Sprintf("%d %s", r.Peer[0], r.Why))
		}
	}
	if want := []string{"1 no answer", "1 no such host", "1 ", "1 no answer"}; !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
}

// Retries are spread by random bytes.
func TestRetriesAreSpread(t *testing.T) {
	b := follow(t, 60, "192.0.2.1")
	b.Machine = names.New(bytes.NewReader([]byte{0, 128}))
	b.Set(b.now, id(1), "a.example", 7, netip.AddrPort{})
	b.drain()
	for _, want := range []time.Duration{time.Second, 2*time.Second + time.Second/8} {
		b.Failed(b.now, "a.example", 0, "no answer")
		if got := b.NextTimeout().Sub(b.now); got != want {
			t.Errorf("the pause is %v, want %v", got, want)
		}
		b.after(want)
	}
}

// When nobody could tell the addresses of one family, those from before stay, and it
// is asked for again within a minute.
func TestOneFamilyUnknown(t *testing.T) {
	b := follow(t, 3600, "2001:db8::1", "192.0.2.1")
	b.after(time.Hour)
	a := answer(3600, "192.0.2.1")
	a.Without6 = true
	b.Answered(b.now, "a.example", a)
	b.expectUses("IPv6 is not known")
	if got := b.NextTimeout().Sub(b.now); got != time.Minute {
		t.Errorf("the next lookup is after %v, want 1m0s", got)
	}
	b.after(time.Minute)
	a = answer(3600, "2001:db8::1")
	a.Without4 = true
	b.Answered(b.now, "a.example", a)
	b.unanswered("IPv4 is not known", 1, "192.0.2.1:7")
	b.after(time.Minute)
	b.answer("a.example", 3600, "2001:db8::1")
	b.expectUses("there is no IPv4 any more", "1 [2001:db8::1]:7 moved")
}

// A peer that was heard from elsewhere has roamed, which is authenticated: it stays
// there while it answers, also when the name changes. When it is silent it goes to
// where the name is now.
func TestRoamed(t *testing.T) {
	b := follow(t, 60, "192.0.2.1")
	b.Heard(id(1), addrPort("198.51.100.1:4000"))
	for range 3 {
		b.after(time.Minute)
		b.answer("a.example", 60, "192.0.2.1")
	}
	b.expectUses("the name is the same")
	b.after(time.Minute)
	b.answer("a.example", 60, "192.0.2.2")
	b.Heard(id(1), addrPort("198.51.100.1:4000"))
	b.expectUses("the peer answers")
	b.after(20 * time.Second)
	b.Silent(b.now, id(1))
	b.expectUses("the peer is silent", "1 192.0.2.2:7 moved")
	b.unanswered("the name's does not answer", 1, "198.51.100.1:4000")

	b = follow(t, 60, "192.0.2.1")
	b.Heard(id(1), addrPort("192.0.2.1:4000")) // behind a NAT: only the port is another
	b.after(time.Minute)
	b.answer("a.example", 60, "192.0.2.2")
	b.expectUses("the peer answers")
	b.unanswered("the peer is silent", 1, "192.0.2.2:7")

	b = follow(t, 60, "192.0.2.1")
	b.Heard(id(1), addrPort("198.51.100.1:4000"))
	b.Silent(b.now, id(1)) // nothing speaks against where it was last, yet
	b.expectUses("silent, and the name is the same")
	b.unanswered("a handshake fails", 1, "192.0.2.1:7")
}

// When the network changes, names are looked up again, pauses end, and a lookup that
// began before is repeated; many changes are one.
func TestNetworkChanges(t *testing.T) {
	b := follow(t, 3600, "192.0.2.1")
	b.Set(b.now, id(2), "b.example", 7, netip.AddrPort{})
	b.drain()
	for range 5 {
		b.Failed(b.now, "b.example", 0, "no answer")
		b.after(16 * time.Second)
	}
	b.Failed(b.now, "b.example", 0, "no answer")
	b.asks = nil
	b.after(10 * time.Second)
	b.NetworkChanged(b.now)
	b.expectAsks("at once", "b.example", "a.example")
	b.Failed(b.now, "b.example", 0, "no answer")
	if got := b.NextTimeout().Sub(b.now); got != time.Second {
		t.Errorf("after the first failure on a network, the next lookup is after %v, want 1s", got)
	}
	b.after(time.Second)
	b.expectAsks("1 s later", "b.example")
	for range 100 {
		b.NetworkChanged(b.now)
		b.after(time.Millisecond)
	}
	b.expectAsks("while both are being looked up")
	b.answer("a.example", 3600, "192.0.2.1")
	b.Failed(b.now, "b.example", 0, "no answer")
	b.expectAsks("a.example began more than 1 s ago, and before the last change", "a.example")
	b.after(time.Second - 101*time.Millisecond)
	b.expectAsks("b.example began less than 1 s ago")
	b.after(time.Millisecond)
	b.expectAsks("b.example, 1 s after the last time", "b.example")
	b.answer("a.example", 3600, "192.0.2.1")
	b.after(time.Minute)
	b.expectAsks("no more than that")
}
