package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/pcapng"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

var remote = netip.MustParseAddrPort("198.51.100.7:4000")

func newPeer(at netip.AddrPort) *peer.Peer {
	p := peer.New(peer.NewCommon(peer.Timing{}))
	p.SetEndpoint(wire.NewEndpoint(at, netip.Addr{}, 0))
	return p
}

// begun returns a capture that has begun, of one peer unless only is nil.
func begun(t testing.TB, h *Hub, only *peer.Peer) *Capture {
	t.Helper()
	o := Options{
		Interface: "wg0", Outer: true, Inner: true, Name: "laptop",
		Clock: func() int64 { return time.Now().UnixNano() }, NameOf: func(*peer.Peer) string { return "laptop" },
	}
	if only != nil {
		o.Find = func() *peer.Peer { return only }
	}
	c := New(o)
	if err := h.Add(c); err != nil {
		t.Fatal(err)
	}
	c.PeersChanged()
	return c
}

// finish ends c and returns its packets and statistics.
func finish(t testing.TB, c *Capture) (packets []pcapng.Packet, statistics []pcapng.Statistics) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var raw bytes.Buffer
	if err := c.Stream(ctx, &raw); err != nil {
		t.Fatal(err)
	}
	return read(t, &raw)
}

func read(t testing.TB, from io.Reader) (packets []pcapng.Packet, statistics []pcapng.Statistics) {
	t.Helper()
	r := pcapng.NewReader(from)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return packets, statistics
		}
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := b.Packet(); ok {
			p.Data = bytes.Clone(p.Data)
			packets = append(packets, p)
		}
		if s, ok := b.Statistics(); ok {
			statistics = append(statistics, s)
		}
	}
}

// train returns datagrams of size bytes, from or to at; they begin with their number.
func train(at netip.AddrPort, size int, numbers ...int) *batch.Batch {
	b := &batch.Batch{Stride: size, Remote: wire.NewEndpoint(at, netip.MustParseAddr("192.0.2.1"), 0), ECN: 1}
	for _, n := range numbers {
		d := make([]byte, size)
		binary.LittleEndian.PutUint32(d, 0xff000000|uint32(n)) // no message
		b.Data = append(b.Data, d...)
	}
	return b
}

func number(p *pcapng.Packet) int {
	return int(binary.LittleEndian.Uint32(packet.UDPPayload(p.Data)) & 0xffffff)
}

// TestHeaders: a datagram has the addresses, ports and ECN bits with which it passed, and
// its direction; a source that nobody knows is unspecified.
func TestHeaders(t *testing.T) {
	var h Hub
	c := begun(t, &h, nil)
	set, table := h.Load(), index.New()
	p := newPeer(remote)
	set.Arrived(table, 51820, train(remote, 40, 1))
	set.Sent(p, 51820, train(remote, 40, 2))
	set.Sent(p, 51820, &batch.Batch{Data: make([]byte, 32), Stride: 32, Remote: wire.Endpoint{Remote: remote}, TOS: 0x88, TTL: 7})
	six := netip.MustParseAddrPort("[2001:db8::9]:99")
	set.Sent(nil, 51820, &batch.Batch{Data: make([]byte, 32), Stride: 32, Remote: wire.Endpoint{Remote: six}})
	packets, _ := finish(t, c)
	var got []string
	for _, p := range packets {
		from, to, _, _ := packet.UDPPorts(p.Data)
		got = append(got, fmt.Sprint(p.Direction, " ", packet.Source(p.Data), ":", from, ">", packet.Destination(p.Data), ":", to,
			" ", packet.ECN(p.Data), " ", packet.TTL(p.Data), " ", p.Comment))
	}
	want := []string{
		"1 198.51.100.7:4000>192.0.2.1:51820 1 64 ",
		"2 192.0.2.1:51820>198.51.100.7:4000 1 64 peer laptop",
		"2 0.0.0.0:51820>198.51.100.7:4000 0 7 peer laptop",
		"2 :::51820>2001:db8::9:99 0 64 ",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// TestInitiationsOfOnePeer: an initiation from elsewhere than the endpoint of the peer is
// in its capture when the answer shows whose it is, and only then.
func TestInitiationsOfOnePeer(t *testing.T) {
	var h Hub
	p, table := newPeer(remote), index.New()
	c := begun(t, &h, p)
	set := h.Load()
	elsewhere := netip.MustParseAddrPort("203.0.113.5:1")
	initiation := func(from netip.AddrPort, sender uint32) {
		m := wire.Initiation{Sender: sender}
		raw := m.AppendTo(nil)
		set.Arrived(table, 1, &batch.Batch{Data: raw, Stride: len(raw), Remote: wire.Endpoint{Remote: from}})
	}
	answer := func(to netip.AddrPort, whose *peer.Peer, receiver uint32) {
		m := wire.Response{Receiver: receiver}
		raw := m.AppendTo(nil)
		set.Sent(whose, 1, &batch.Batch{Data: raw, Stride: len(raw), Remote: wire.Endpoint{Remote: to}})
	}
	initiation(remote, 1)    // from its endpoint
	initiation(elsewhere, 2) // never answered
	initiation(elsewhere, 3) // of another peer
	initiation(elsewhere, 4) // of this one
	answer(elsewhere, newPeer(elsewhere), 3)
	answer(elsewhere, p, 4)
	answer(elsewhere, p, 2) // would be the answer to the one before
	packets, _ := finish(t, c)
	var got []string
	for _, p := range packets {
		msg := packet.UDPPayload(p.Data)
		kind, _ := wire.TypeOf(msg)
		i := wire.SenderIndex(msg)
		if kind == wire.TypeResponse {
			i = wire.ReceiverIndex(msg)
		}
		got = append(got, fmt.Sprintf("%v %d", kind, i))
	}
	want := []string{
		"handshake initiation 1", "handshake initiation 4", "handshake response 4", "handshake initiation 2", "handshake response 2",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestInitiationsAmongOthers: where the datagrams come from is no matter for what they are:
// in one train, initiations and what is no message are told apart.
func TestInitiationsAmongOthers(t *testing.T) {
	var h Hub
	p := newPeer(remote)
	c := begun(t, &h, p)
	elsewhere := netip.MustParseAddrPort("203.0.113.5:1")
	b := &batch.Batch{Stride: wire.InitiationSize, Remote: wire.Endpoint{Remote: elsewhere}}
	for i := range uint32(4) {
		m := wire.Initiation{Sender: i}
		raw := m.AppendTo(nil)
		if i%2 == 0 {
			raw[0] = 99 // no message
		}
		b.Data = append(b.Data, raw...)
	}
	h.Load().Arrived(index.New(), 1, b)
	for i := range uint32(4) {
		m := wire.Response{Receiver: i}
		raw := m.AppendTo(nil)
		h.Load().Sent(p, 1, &batch.Batch{Data: raw, Stride: len(raw), Remote: wire.Endpoint{Remote: elsewhere}})
	}
	packets, _ := finish(t, c)
	var got []uint32
	for _, p := range packets {
		if msg := packet.UDPPayload(p.Data); len(msg) == wire.InitiationSize {
			got = append(got, wire.SenderIndex(msg))
		}
	}
	if len(packets) != 6 || len(got) != 2 || got[0] != 1 || got[1] != 3 {
		t.Errorf("%d packets with the initiations %d, want 1 and 3", len(packets), got)
	}
}

// TestPeerIsFoundAgain: while the peer is removed nothing is captured, and the capture
// goes on when it is added again.
func TestPeerIsFoundAgain(t *testing.T) {
	var h Hub
	first, second := newPeer(remote), newPeer(remote)
	now := first
	c := New(Options{Outer: true, Clock: func() int64 { return 1 }, Find: func() *peer.Peer { return now }})
	if err := h.Add(c); err != nil {
		t.Fatal(err)
	}
	for i, p := range []*peer.Peer{first, nil, second} {
		now = p
		h.Load().PeersChanged()
		h.Load().Sent(first, 1, train(remote, 40, 2*i))
		h.Load().Sent(second, 1, train(remote, 40, 2*i+1))
	}
	packets, _ := finish(t, c)
	if len(packets) != 2 || number(&packets[0]) != 0 || number(&packets[1]) != 5 {
		t.Errorf("%d packets captured, want the first and the last", len(packets))
	}
}

// TestFullRing: what is captured stays in order and whole, however the ring wraps around;
// what does not fit is counted, and the packet after it says so.
func TestFullRing(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		c := begun(t, &h, nil)
		out, in := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		streamed := make(chan error, 1)
		go func() { streamed <- c.Stream(ctx, in); in.Close() }()
		sizes := map[int]int{}
		n := 0
		offer := func(records int) {
			for range records {
				size := 4 + rng.IntN(1400)
				var numbers []int
				for range 1 + rng.IntN(40) {
					sizes[n] = size
					numbers = append(numbers, n)
					n++
				}
				h.Load().Sent(nil, 1, train(remote, size, numbers...))
			}
		}
		offer(2000) // about 28 MB: more than the ring holds, and nobody reads
		type result struct {
			packets    []pcapng.Packet
			statistics []pcapng.Statistics
		}
		results := make(chan result, 1)
		go func() {
			p, s := read(t, out)
			results <- result{p, s}
		}()
		for range 200 {
			time.Sleep(time.Second)
			offer(10)
		}
		cancel()
		if err := <-streamed; err != nil {
			t.Fatal(err)
		}
		r := <-results
		last, skipped, told := -1, 0, uint64(0)
		for i := range r.packets {
			p := &r.packets[i]
			k := number(p)
			skipped += k - last - 1
			told += p.Drops
			if k <= last || uint64(skipped) != told || len(packet.UDPPayload(p.Data)) != sizes[k] {
				t.Fatalf("packet %d after %d: %d bytes, want %d; %d are missing, and the capture says %d", k, last, len(p.Data), sizes[k], skipped, told)
			}
			last = k
		}
		outer := r.statistics[0]
		if last != n-1 || skipped == 0 || outer.Received != uint64(n) || outer.Dropped != uint64(skipped) {
			t.Errorf("%d packets, the last is %d of %d, %d are missing: %+v", len(r.packets), last, n, skipped, outer)
		}
	})
}

// TestFullRingWithinRecord: after a packet that does not fit, a shorter one of the same
// record is not captured either. So what is missing is always between two records, and
// the packet after it says how many.
func TestFullRingWithinRecord(t *testing.T) {
	var h Hub
	c := begun(t, &h, nil)
	p, long, short := newPeer(remote), make([]byte, 60_000), make([]byte, 100)
	const fit = ringBytes / (60_000 + prefixBytes)
	for range fit + 1 {
		h.Load().Opened(p, 1, func(int) []byte { return long })
	}
	h.Load().Opened(p, 2, func(i int) []byte { return [][]byte{long, short}[i] })
	h.Load().Opened(p, 1, func(i int) []byte { return short })
	packets, statistics := finish(t, c)
	if len(packets) != fit+1 || packets[fit].Drops != 3 || statistics[1].Dropped != 3 {
		t.Errorf("%d packets, the last after %d lost ones; %+v", len(packets), packets[len(packets)-1].Drops, statistics)
	}
}

// TestSlowReader: the data plane does not wait for a writer that is stuck, and the end of
// the capture does not either, once the writer fails.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		c := begun(t, &h, nil)
		out, in := io.Pipe() // nobody reads
		streamed := make(chan error, 1)
		go func() { streamed <- c.Stream(t.Context(), in) }()
		synctest.Wait()
		begin := time.Now()
		for i := range 100_000 {
			h.Load().Sent(nil, 1, train(remote, 1400, i))
		}
		if waited := time.Since(begin); waited != 0 { // virtual time
			t.Errorf("the data plane waited for %v", waited)
		}
		out.CloseWithError(io.ErrClosedPipe)
		if err := <-streamed; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Stream returned %v", err)
		}
		if h.Load() != nil {
			t.Error("the capture goes on")
		}
	})
}

// TestEndUnderLoad: a capture ends when it is told to, although more packets come than its
// reader takes: some with each write.
func TestEndUnderLoad(t *testing.T) {
	var h Hub
	c := begun(t, &h, nil)
	set := h.Load() // as a job has that loaded it before the end
	ctx, cancel := context.WithCancel(t.Context())
	writes := 0
	err := c.Stream(ctx, writerFunc(func(p []byte) (int, error) {
		for range 2 * len(p) / 1400 {
			set.Sent(nil, 1, train(remote, 1400, 1))
		}
		set.Sent(nil, 1, train(remote, 1400, 1))
		switch writes++; writes {
		case 10:
			cancel()
		case 1000:
			t.Fatal("the capture goes on")
		}
		return len(p), nil
	}))
	if err != nil {
		t.Error(err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestLimit: a capture more than MaxCaptures is refused, until one ends.
func TestLimit(t *testing.T) {
	var h Hub
	if h.Load() != nil || h.Load().WantsInner(newPeer(remote)) {
		t.Fatal("there is a capture at first")
	}
	var list []*Capture
	for range MaxCaptures {
		list = append(list, begun(t, &h, nil))
	}
	if err := h.Add(New(Options{})); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	finish(t, list[1])
	list[1] = begun(t, &h, nil)
	h.Load().Sent(nil, 1, train(remote, 40, 1))
	for i, c := range list {
		if packets, _ := finish(t, c); len(packets) != 1 {
			t.Errorf("capture %d has %d packets, want 1", i, len(packets))
		}
	}
	if h.Load() != nil {
		t.Error("a capture is left")
	}
}

// TestInnerPadding: padding is not part of a packet; what is no packet is captured whole.
func TestInnerPadding(t *testing.T) {
	var h Hub
	c := begun(t, &h, nil)
	p := newPeer(remote)
	inner := packet.AppendDatagram(nil, &packet.DatagramHeader{From: remote, To: remote}, []byte("hello"))
	list := [][]byte{append(bytes.Clone(inner), make([]byte, 13)...), nil, []byte("no packet at all")}
	h.Load().Opened(p, len(list), func(i int) []byte { return list[i] })
	packets, _ := finish(t, c)
	if len(packets) != 2 || !bytes.Equal(packets[0].Data, inner) || string(packets[1].Data) != "no packet at all" {
		t.Errorf("got %+v", packets)
	}
}

// TestLive: packets are written soon, without an end of the capture.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		c := begun(t, &h, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var raw bytes.Buffer
		done := make(chan error, 1)
		go func() { done <- c.Stream(ctx, &raw) }()
		synctest.Wait()
		head := raw.Len()
		h.Load().Sent(nil, 1, train(remote, 40, 1))
		time.Sleep(gatherTime + 1)
		synctest.Wait()
		if head == 0 || raw.Len() == head {
			t.Errorf("%d bytes at first, %d after a packet", head, raw.Len())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, statistics := read(t, &raw); len(statistics) != 2 {
			t.Errorf("%d statistics at the end", len(statistics))
		}
	})
}
