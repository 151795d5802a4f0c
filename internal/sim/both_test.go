package sim

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"wgd/internal/wire"
)

// A16, B36: a thousand simultaneous starts, over paths of any delay, on hosts
// with slow jobs and machines: every staged packet arrives, there are at most
// two handshakes, and both ends end up sending on the same session, which
// exactly one of them renews. If a response overtakes an initiation, they may
// use two sessions; these work until they expire, and no packet is lost then.
func TestSimultaneousStarts(t *testing.T) {
	for seed := range uint64(scaled(1000)) {
		n := newChecked(t, seed)
		a, b := n.Pair()
		maxDelay := time.Duration(1 + n.Rand.Int64N(int64(500*time.Millisecond)))
		there, back := time.Duration(n.Rand.Int64N(int64(maxDelay))), time.Duration(n.Rand.Int64N(int64(maxDelay)))
		overtaking := seed%2 == 1
		n.Path = func(d *Datagram) Path {
			switch {
			case overtaking:
				return Path{Delay: maxDelay / 2, Jitter: maxDelay}
			case d.From == a.Addr():
				return Path{Delay: there}
			}
			return Path{Delay: back}
		}
		for _, h := range n.Hosts {
			h.JobTime, h.JobJitter, h.CoreDelay = 100*time.Microsecond, 2*time.Millisecond, time.Millisecond
		}
		for _, s := range numbers(0, 5) {
			a.Send(b, s)
		}
		n.Run(time.Duration(n.Rand.Int64N(int64(2 * maxDelay))))
		for _, s := range numbers(0, 5) {
			b.Send(a, s)
		}
		n.Run(4 * time.Second)
		if len(a.Got) != 5 || len(b.Got) != 5 {
			t.Fatalf("seed %d: a got %q, b got %q, want 5 packets each", seed, a.Payloads(), b.Payloads())
		}
		if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got > 2 {
			t.Fatalf("seed %d: %d initiations, want at most 2", seed, got)
		}
		for range 3 {
			a.Send(b, "x")
			n.Run(maxDelay * 2)
			b.Send(a, "y")
			n.Run(maxDelay * 2)
		}
		if overtaking {
			continue
		}
		ka, kb := a.Peer(b).Sessions().Current, b.Peer(a).Sessions().Current
		if ka == nil || kb == nil || ka.Local != kb.Remote || kb.Local != ka.Remote || ka.Initiator == kb.Initiator {
			t.Fatalf("seed %d: a and b do not use the same session", seed)
		}
	}
}

// A16: if each end is the responder of the session that it sends on, both
// sessions work until they expire, and the next one replaces them without loss.
func TestTwoSessionsEndWithoutLoss(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	if ka, kb := a.Public(), b.Public(); bytes.Compare(ka[:], kb[:]) < 0 {
		a, b = b, a
	}
	n.Path = func(d *Datagram) Path {
		switch {
		case n.Now() < time.Second && d.From == b.Addr() && d.Type() == wire.TypeInitiation:
			return Path{Delay: 300 * time.Millisecond} // overtaken by the response
		case n.Now() < time.Second && d.From == a.Addr() && d.Type() == wire.TypeData:
			return Path{Delay: 500 * time.Millisecond}
		}
		return Path{Delay: 50 * time.Millisecond}
	}
	a.Send(b, "0")
	b.Send(a, "0")
	n.Run(time.Second)
	sent := 1
	n.Every(100*time.Millisecond, func() bool {
		a.Send(b, fmt.Sprint(sent))
		b.Send(a, fmt.Sprint(sent))
		sent++
		return n.Now() < 10*time.Minute
	})
	n.Run(11 * time.Minute)
	equal(t, "a", a.Payloads(), numbers(0, sent))
	equal(t, "b", b.Payloads(), numbers(0, sent))
}

// A16: if datagrams are not reordered, the packets staged at both ends arrive
// in order, however far apart the two starts are.
func TestSimultaneousStartsKeepOrder(t *testing.T) {
	for step := range scaled(30) {
		n := newChecked(t, uint64(step))
		a, b := n.Pair()
		for _, h := range n.Hosts {
			h.CoreDelay = time.Millisecond
		}
		for _, s := range numbers(0, 100) {
			a.Send(b, s)
		}
		n.Run(time.Duration(2*step) * time.Millisecond)
		for _, s := range numbers(0, 100) {
			b.Send(a, s)
		}
		for _, s := range numbers(100, 200) {
			a.Send(b, s)
			b.Send(a, s)
			n.Run(time.Millisecond)
		}
		n.Run(time.Second)
		name := fmt.Sprintf("%d ms apart", 2*step)
		equal(t, name+", a", a.Payloads(), numbers(0, 200))
		equal(t, name+", b", b.Payloads(), numbers(0, 200))
	}
}

// A16, A43: with traffic in both directions for half an hour, rekeys lose and
// reorder nothing, and are no more frequent than the rule allows.
func TestRenewalsLoseNothing(t *testing.T) {
	for seed := range uint64(scaled(4)) {
		n := newChecked(t, seed)
		a, b := n.Pair()
		n.Default.Delay = time.Duration(20+seed*100) * time.Millisecond
		for _, h := range n.Hosts {
			h.JobTime, h.CoreDelay = time.Millisecond, 20*time.Millisecond
		}
		sent := 0
		n.Every(300*time.Millisecond, func() bool {
			a.Send(b, fmt.Sprint(sent))
			b.Send(a, fmt.Sprint(sent))
			sent++
			return n.Now() < 30*time.Minute
		})
		n.Run(31 * time.Minute)
		equal(t, "a", a.Payloads(), numbers(0, sent))
		equal(t, "b", b.Payloads(), numbers(0, sent))
		if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got > 30/2+2 {
			t.Errorf("%d initiations in half an hour, want at most %d", got, 30/2+2)
		}
	}
}

// A38, B34: over a path that loses, duplicates and reorders datagrams, every
// packet arrives at most once, and only those that the path lost are missing.
func TestBadPath(t *testing.T) {
	for seed := range uint64(scaled(8)) {
		n := newChecked(t, seed)
		a, b := n.Pair()
		a.Send(b, "first")
		n.Run(time.Second)
		b.Got = nil
		n.Default = Path{Delay: 10 * time.Millisecond, Jitter: 400 * time.Millisecond, Loss: 0.1, Duplicate: 0.3}
		a.Counts.Sent, b.Counts.Received = [5]int{}, [5]int{}
		const packets = 5000
		for i := range packets {
			a.Send(b, fmt.Sprint(i))
			n.Run(time.Millisecond)
		}
		n.Run(time.Second)
		seen := map[string]bool{}
		disorder := 0
		for i, p := range b.Got {
			if seen[p.Payload] {
				t.Fatalf("seed %d: packet %s arrived twice", seed, p.Payload)
			}
			seen[p.Payload] = true
			if i > 0 && p.Payload < b.Got[i-1].Payload {
				disorder++
			}
		}
		if len(b.Got) < packets*87/100 || len(b.Got) > packets*93/100 || disorder < packets/10 {
			t.Errorf("seed %d: %d of %d packets arrived, %d out of order", seed, len(b.Got), packets, disorder)
		}
	}
}

// B35, B36: after a path that loses a third of all datagrams recovers, there is
// soon a session again.
func TestLossyPath(t *testing.T) {
	for seed := range uint64(scaled(12)) {
		n := newChecked(t, seed)
		a, b := n.Pair()
		n.Default = Path{Delay: time.Millisecond, Jitter: 300 * time.Millisecond, Loss: 0.33, Duplicate: 0.1}
		for _, h := range n.Hosts {
			h.JobTime, h.JobJitter, h.CoreDelay = time.Millisecond, 50*time.Millisecond, 30*time.Millisecond
		}
		for range 300 {
			if n.Rand.IntN(2) == 0 {
				a.Send(b, "x")
			}
			if n.Rand.IntN(2) == 0 {
				b.Send(a, "y")
			}
			n.Run(time.Duration(n.Rand.Int64N(int64(4 * time.Second))))
		}
		n.Default = Path{Delay: 10 * time.Millisecond}
		checkRecovers(t, n, a, b, 16*time.Second)
	}
}

// checkRecovers checks that traffic flows in both directions after the given
// time, and continues to.
func checkRecovers(t *testing.T, n *Internet, a, b *Host, within time.Duration) {
	t.Helper()
	end := n.Now() + within
	for n.Now() < end {
		a.Send(b, "try")
		b.Send(a, "try")
		n.Run(250 * time.Millisecond)
	}
	a.Got, b.Got = nil, nil
	for range 10 {
		a.Send(b, "x")
		b.Send(a, "y")
		n.Run(time.Second)
	}
	if len(a.Got) != 10 || len(b.Got) != 10 {
		t.Errorf("after %v: a got %d and b got %d of 10 packets", within, len(a.Got), len(b.Got))
	}
}

// A13, B28: forged responses, at any time, do not keep the genuine one from
// completing the handshake.
func TestForgedResponses(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.JobTime, a.Cores = time.Millisecond, 2
	n.Default.Delay = 50 * time.Millisecond
	tap := n.Tap
	n.Tap = func(from *Host, d *Datagram) {
		tap(from, d)
		if d.Type() != wire.TypeInitiation {
			return
		}
		for i := range 40 { // from the moment at which the initiation is seen
			r := wire.Response{Sender: n.Rand.Uint32(), Receiver: wire.SenderIndex(d.Data)}
			for j := range r.Ephemeral {
				r.Ephemeral[j] = byte(n.Rand.Uint32())
			}
			n.After(time.Duration(i)*3*time.Millisecond, func() {
				n.Inject(b.Addr(), a.Addr(), withMAC1(r.AppendTo(nil), a.Public()))
			})
		}
	}
	a.Send(b, "x")
	n.Run(4 * time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
	if got := len(a.SentOf(wire.TypeInitiation)); got != 1 {
		t.Errorf("%d initiations, want 1", got)
	}
}
