package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// A33, A34, B10, B24: one packet causes an initiation, a response, the packet,
// and ten seconds later a keepalive. Both ends count the same bytes.
func TestFirstPacket(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "hello")
	n.Run(time.Minute)
	equal(t, "b", b.Payloads(), []string{"hello"})
	if got, want := types(a.Sent), []wire.Type{wire.TypeInitiation, wire.TypeData}; !slices.Equal(got, want) {
		t.Errorf("a sent %v, want %v", got, want)
	}
	if got, want := types(b.Sent), []wire.Type{wire.TypeResponse, wire.TypeData}; !slices.Equal(got, want) {
		t.Errorf("b sent %v, want %v", got, want)
	}
	if at := times(b.Sent); at[1] < 10*time.Second || at[1] > 10100*time.Millisecond {
		t.Errorf("the keepalive was sent at %v, want 10 s to 10.1 s", at[1])
	}
	const packet = 16 + 48 + 16 // 33 bytes, padded
	sa, sb := a.Status(b), b.Status(a)
	if sa.TxBytes != 148+packet || sa.RxBytes != 92+32 || sb.RxBytes != sa.TxBytes || sb.TxBytes != sa.RxBytes {
		t.Errorf("bytes: a sent %d, received %d; b sent %d, received %d", sa.TxBytes, sa.RxBytes, sb.TxBytes, sb.RxBytes)
	}
	if sa.LastHandshake.IsZero() || sb.LastHandshake.IsZero() {
		t.Error("the time of the last handshake is zero")
	}
}

// A42, A43, B39: of a burst of 200 packets before the handshake, the newest 128
// arrive in order; the others are counted as drops.
func TestBurstBeforeTheHandshake(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	for _, s := range numbers(0, 200) {
		a.Send(b, s)
	}
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), numbers(72, 200))
	if got := a.Drops.Count(dataplane.DropStaged); got != 72 {
		t.Errorf("%d packets counted as dropped, want 72", got)
	}
}

// B8: with round trips of 0 to 5 s, slow jobs and a delayed machine, there is
// one handshake, provided that the round trip is shorter than the handshake
// timeout.
func TestSlowPaths(t *testing.T) {
	for ms := 0; ms <= 5000; ms += 250 {
		n := newChecked(t, uint64(ms))
		a, b := n.Pair()
		n.Default.Delay = time.Duration(ms) * time.Millisecond / 2
		for _, h := range n.Hosts {
			h.JobTime, h.CoreDelay = 2*time.Millisecond, time.Millisecond
		}
		a.Send(b, "x")
		n.Run(20 * time.Second)
		equal(t, fmt.Sprintf("round trip of %d ms", ms), b.Payloads(), []string{"x"})
		if got := len(a.SentOf(wire.TypeInitiation)); ms < 4900 && got != 1 || got > 2 {
			t.Errorf("round trip of %d ms: %d initiations", ms, got)
		}
	}
}

// B7: a thousand successive handshakes cause no cookie reply.
func TestThousandHandshakes(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	thousand := scaled(1000)
	for i := range thousand {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		from.Send(to, "x")
		n.Run(11 * time.Minute) // past erasure
		if len(to.Got) != i/2+1 {
			t.Fatalf("packet %d did not arrive", i)
		}
	}
	if got := a.Counts.Sent[wire.TypeCookieReply] + b.Counts.Sent[wire.TypeCookieReply]; got != 0 {
		t.Errorf("%d cookie replies, want 0", got)
	}
	if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got != thousand {
		t.Errorf("%d initiations, want %d", got, thousand)
	}
	if a.Index.Len()+b.Index.Len() != 0 {
		t.Errorf("%d and %d indices are left, want none", a.Index.Len(), b.Index.Len())
	}
}

// A43: the tunnel keeps the order of packets, across handshakes, rekeys and
// super-packets.
func TestOrder(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	for _, h := range n.Hosts {
		h.CoreDelay, h.JobTime = 5*time.Millisecond, time.Millisecond
	}
	sent := 0
	for n.Now() < 10*time.Minute {
		for range n.Rand.IntN(6) {
			a.Send(b, fmt.Sprint(sent))
			sent++
		}
		b.Send(a, "y")
		n.Run(time.Duration(n.Rand.Int64N(int64(2 * time.Second))))
	}
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), numbers(0, sent))
}

// A1, B1: inner packets of every size arrive.
func TestEverySize(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	var want []string
	for size := range 1393 {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(size + i)
		}
		want = append(want, string(payload))
		a.Give(Inner(a.Inner4, b.Inner4, payload, 0), Inner(a.Inner6, b.Inner6, payload[:min(size, 1372)], 0))
		n.Run(20 * time.Millisecond)
	}
	var got []string
	for _, p := range b.Got {
		if p.To.Is4() {
			got = append(got, p.Payload)
		}
	}
	if !slices.Equal(got, want) || len(b.Got) != 2*1393 {
		t.Errorf("%d of %d packets arrived, or others", len(b.Got), 2*1393)
	}
}
