package udptest

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
)

var (
	addrA  = netip.MustParseAddr("192.0.2.1")
	addrA2 = netip.MustParseAddr("192.0.2.11")
	addrB  = netip.MustParseAddr("192.0.2.2")
	addrB6 = netip.MustParseAddr("2001:db8::2")
)

func pair(t *testing.T, h *Host, port uint16, o udp.Options) *udp.Pair {
	t.Helper()
	p, err := h.Listen(port, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDeliversATrain(t *testing.T) { // A52
	n := NewNet()
	a := pair(t, n.Host(addrA, addrA2), 1000, udp.Options{})
	b := pair(t, n.Host(addrB, addrB6), 2000, udp.Options{Mark: 7})
	if a.V6 != nil || b.V6 == nil || b.Port() != 2000 || b.V4.(*Group).Mark() != 7 {
		t.Fatal("wrong families, port or mark")
	}
	train := batch.Batch{Data: bytes.Repeat([]byte{1}, 25), Stride: 10, ECN: 2,
		Remote: wire.NewEndpoint(netip.AddrPortFrom(addrB, 2000), addrA2, 1)}
	if err := a.NewSender().Send(&train); err != nil {
		t.Fatal(err)
	}
	var got [4]batch.Batch
	k, err := b.V4.Socket(0).NewReceiver().Recv(got[:])
	want := wire.NewEndpoint(netip.AddrPortFrom(addrA2, 1000), addrB, 1)
	if k != 1 || err != nil || got[0].Count() != 3 || got[0].ECN != 2 || got[0].Remote != want {
		t.Fatal(k, err, got[0])
	}
}

func TestPartialSendAndSourceGone(t *testing.T) { // B20, A52
	n := NewNet()
	hostA := n.Host(addrA2, addrA)
	a := pair(t, hostA, 1000, udp.Options{})
	b := pair(t, n.Host(addrB), 2000, udp.Options{NoGRO: true})
	full := errors.New("no buffers")
	a.V4.(*Group).OnSend(func(*batch.Batch) (int, error) { return 2, full })
	train := batch.Batch{Data: make([]byte, 25), Stride: 10,
		Remote: wire.NewEndpoint(netip.AddrPortFrom(addrB, 2000), addrA2, 1)}
	if err := a.NewSender().Send(&train); err != full || a.V4.(*Group).Sent() != 2 {
		t.Fatal(err)
	}
	got := make([]batch.Batch, 8)
	if k, _ := b.V4.Socket(0).NewReceiver().Recv(got); k != 2 || len(got[1].Data) != 10 {
		t.Fatal(k)
	}
	a.V4.(*Group).OnSend(nil)
	hostA.RemoveAddr(addrA2)
	if err := a.NewSender().Send(&train); !errors.Is(err, udp.ErrSourceGone) {
		t.Fatal(err)
	}
	if k, _ := b.V4.Socket(0).NewReceiver().Recv(got); k != 3 || got[0].Remote.Remote.Addr() != addrA {
		t.Fatal(k, got[0].Remote)
	}
}

func TestPortsAndClose(t *testing.T) {
	h := NewNet().Host(addrA)
	a := pair(t, h, 0, udp.Options{})
	var taken *udp.PortTaken
	if _, err := h.Listen(a.Port(), udp.Options{}); !errors.As(err, &taken) {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := a.V4.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1))
		done <- err
	}()
	a.Close()
	if err := <-done; err != os.ErrClosed {
		t.Fatal(err)
	}
	if _, err := h.Listen(a.Port(), udp.Options{}); err != nil {
		t.Fatal("the port is still in use after Close:", err)
	}
}

// A Group with several sockets behaves like the kernel: each sender keeps its socket,
// and datagrams in a socket that is closed are lost.
func TestSockets(t *testing.T) {
	n := NewNet()
	p := pair(t, n.Host(addrA), 1000, udp.Options{})
	c := p.V4.(*Group)
	inject := func() {
		for port := range uint16(50) {
			c.Inject(batch.Batch{Data: []byte{1}, Stride: 1, Remote: wire.NewEndpoint(netip.AddrPortFrom(addrB, 1+port), addrA, 1)})
		}
	}
	take := func(i int) (count int) {
		bs := make([]batch.Batch, 1)
		for {
			got, err := c.Socket(i).NewReceiver().TryRecv(bs)
			if count += got; got == 0 || err != nil {
				return count
			}
		}
	}
	if c.SetSockets(0) == nil || c.SetSockets(3) != nil || c.Sockets() != 3 {
		t.Fatal("SetSockets")
	}
	inject()
	before := [3]int{take(0), take(1), take(2)}
	inject()
	if after := [3]int{take(0), take(1), take(2)}; after != before || before[2] == 0 || before[0]+before[1]+before[2] != 50 {
		t.Errorf("trains by socket: %v, then %v, want the same, 50 in all", before, after)
	}
	inject()
	last := c.Socket(2)
	if c.SetSockets(2); c.Dropped() != before[2] || take(0) != before[0] || take(1) != before[1] {
		t.Errorf("%d trains dropped, want %d", c.Dropped(), before[2])
	}
	if _, err := last.NewReceiver().TryRecv(make([]batch.Batch, 1)); err != os.ErrClosed {
		t.Error(err)
	}
	if c.SteerToFirst(); take(0) != 0 {
		t.Error("the first socket is not empty")
	}
	if inject(); take(0) != 50 {
		t.Error("not all trains were steered to the first socket")
	}
	p.Close()
	if err := last.Wait(); err != os.ErrClosed {
		t.Error(err)
	}
}
