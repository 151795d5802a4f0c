package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/lanes/lanestest"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/sys/udp/udptest"
)

// hub is a site with several queues and sockets, and its peers.
type hub struct {
	*site
	multi  *tuntest.Device
	spokes []*site
	number atomic.Int32 // of queues that it is to use
}

func newHub(t *testing.T, spokes int, with ...func(*World)) *hub {
	t.Helper()
	h := &hub{multi: tuntest.NewQueues("wg1", 1420, 6)}
	h.number.Store(1)
	net := udptest.NewNet()
	h.site = newSite(t, net, 1, append(with, func(w *World) {
		w.TUN = h.multi
		w.Lanes.Scaler = lanestest.Queues(func() int { return int(h.number.Load()) })
	})...)
	h.tun = h.multi
	h.up()
	for i := range spokes {
		s := newSite(t, net, byte(2+i))
		s.up()
		h.apply(peers(s.asPeer()))
		s.apply(peers(h.asPeer()))
		s.deliver(h.site, fmt.Sprint("hello ", i))
		h.spokes = append(h.spokes, s)
	}
	return h
}

// flow is one of the flows between two sites: its port, and the number of its
// next packet at both ends.
type flow struct {
	from, to       *site
	port           uint16
	sent, received uint32
}

func (f *flow) packet() []byte {
	p := datagram(f.from.inner, f.to.inner, fmt.Sprintf("number %010d", f.sent))
	binary.BigEndian.PutUint16(p[20:], f.port)
	f.sent++
	return p
}

// take records a packet from an interface and checks the order.
func take(t *testing.T, flows map[string]*flow, raw []byte) {
	t.Helper()
	p := raw[tun.HeaderSize:]
	from, _ := netip.AddrFromSlice(p[12:16])
	to, _ := netip.AddrFromSlice(p[16:20])
	port := binary.BigEndian.Uint16(p[20:])
	f := flows[flowKey(from, to, port)]
	if f == nil {
		return
	}
	// GRO may have joined successive packets of a flow.
	const size = len("number 0123456789")
	for texts := p[28:]; len(texts) >= size; texts = texts[size:] {
		var number uint32
		fmt.Sscanf(string(texts[:size]), "number %d", &number)
		if number != f.received {
			t.Fatalf("flow %s: packet number %d, want %d", flowKey(from, to, port), number, f.received)
		}
		f.received++
	}
}

func flowKey(from, to netip.Addr, port uint16) string { return fmt.Sprint(from, " ", to, " ", port) }

// exchange sends rounds of packets of several flows between the hub and each spoke,
// in both directions, until end is closed, and waits for all of them.
func (h *hub) exchange(t *testing.T, end <-chan struct{}) {
	t.Helper()
	all := map[string]*flow{}
	var out []*flow
	var mu sync.Mutex // of all
	in := map[*site][]*flow{}
	for _, s := range h.spokes {
		for port := range uint16(8) {
			there, back := &flow{from: h.site, to: s, port: 100 + port}, &flow{from: s, to: h.site, port: 200 + port}
			all[flowKey(h.inner, s.inner, there.port)], all[flowKey(s.inner, h.inner, back.port)] = there, back
			out, in[s] = append(out, there), append(in[s], back)
		}
	}
	for ended := false; !ended; {
		select {
		case <-end:
			ended = true
		default:
		}
		var sending sync.WaitGroup
		const each = 20
		sending.Go(func() {
			for range each {
				for _, f := range out {
					if !h.multi.Inject(f.packet()) {
						t.Error("the interface of the hub has no room")
					}
				}
			}
		})
		for s, flows := range in {
			sending.Go(func() {
				for range each {
					for _, f := range flows {
						if !s.tun.Inject(f.packet()) {
							t.Error("the interface of a spoke has no room")
						}
					}
				}
			})
		}
		sending.Wait()
		for _, s := range append([]*site{h.site}, h.spokes...) {
			s.drain(t, all, &mu)
		}
	}
}

// drain takes packets until all those sent to s have arrived.
func (s *site) drain(t *testing.T, all map[string]*flow, mu *sync.Mutex) {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for {
		missing := 0
		for _, f := range all {
			if f.to == s {
				missing += int(f.sent - f.received)
			}
		}
		if missing == 0 {
			return
		}
		raw, ok := s.tun.Next(patience)
		if !ok {
			t.Fatalf("%d packets are missing; drops %v", missing, s.Status().Drops)
		}
		take(t, all, raw)
	}
}

// However many queues and sockets there are, and while their number changes, all
// packets arrive, each flow in its order.
func TestQueuesInOrder(t *testing.T) {
	for name, with := range map[string]func(*World){"alone": spread(1), "with followers": spread(3)} {
		t.Run(name, func(t *testing.T) {
			check := balance(t)
			h := newHub(t, 5, with)
			end := make(chan struct{})
			go func() {
				defer close(end)
				for range 500 {
					h.number.Store(1 + rand.Int32N(8))
					time.Sleep(5 * time.Millisecond)
				}
			}()
			h.exchange(t, end)
			if h.multi.Changes() < 10 {
				t.Errorf("the number of queues changed %d times", h.multi.Changes())
			}
			if n := h.multi.Dropped() + h.conn().Dropped(); n > 0 {
				t.Errorf("%d packets were dropped in queues", n)
			}
			h.checkNoLoss(t)
			for _, s := range append([]*site{h.site}, h.spokes...) {
				s.Close()
			}
			check()
		})
	}
}

// B55, A53, A62: an interface with several queues survives all changes, and closes.
func TestQueuesThroughChanges(t *testing.T) {
	check := balance(t)
	h := newHub(t, 3)
	h.number.Store(4)
	h.churn(t, 10*time.Millisecond, func(i int) {
		s := h.spokes[i%len(h.spokes)]
		f := flow{from: h.site, to: s, port: uint16(i)}
		h.multi.Inject(f.packet())
		s.inject(h.site, "noise")
		h.tun.Next(0)
		s.tun.Next(0)
		if i%16 == 0 {
			h.number.Store(1 + rand.Int32N(6))
			time.Sleep(50 * time.Microsecond)
		}
	})
	if h.multi.Changes() == 0 {
		t.Error("the number of queues never changed")
	}
	within(t, patience, "Close", h.Close)
	for _, s := range h.spokes {
		s.Close()
	}
	check()
}

// Each lane has its own queue, and reads only that.
func TestQueuesAreUsed(t *testing.T) {
	h := newHub(t, 6)
	h.number.Store(6)
	end := make(chan struct{})
	go func() {
		time.Sleep(500 * time.Millisecond)
		close(end)
	}()
	h.exchange(t, end)
	if h.multi.Attached() != 6 || h.conn().Sockets() != 6 {
		t.Errorf("%d queues, %d sockets", h.multi.Attached(), h.conn().Sockets())
	}
	// After down and up there are several sockets again.
	h.Down()
	h.up()
	if port := h.Status().ListenPort; port == 0 {
		t.Error("no port")
	}
	eventually(t, "there are several sockets again", func() bool { return h.conn().Sockets() == 6 })
	h.Close()
}
