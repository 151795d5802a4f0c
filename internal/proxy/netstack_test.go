package proxy

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/packet"
	"wgd/netstack"
)

// stackPair returns two stacks that are joined like the ends of a tunnel, and
// checks in the end that nothing is left of what the test starts after it. The
// second one has the addresses 10.2.0.2 and fd00::2.
func stackPair(t testing.TB) (near, far *netstack.Stack) {
	t.Helper()
	check := asynctest.CheckLeaks(t)
	open := func(addresses ...string) *netstack.Stack {
		var list []netip.Prefix
		for _, a := range addresses {
			list = append(list, netip.MustParsePrefix(a))
		}
		s, err := netstack.New(netstack.Options{Addresses: list})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	near, far = open("10.2.0.1/24", "fd00::1/64"), open("10.2.0.2/24", "fd00::2/64")
	done := make(chan struct{}, 2)
	join := func(from, to *netstack.Stack) {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, packet.VirtioHeaderSize+1<<16)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			to.Write([][]byte{buf[:n]})
		}
	}
	go join(near, far)
	go join(far, near)
	t.Cleanup(func() {
		near.Close()
		far.Close()
		<-done
		<-done
		check()
	})
	return near, far
}

// listenFar calls handle for each connection to port 80 of a stack.
func listenFar(t testing.TB, far *netstack.Stack, address string, handle func(net.Conn)) {
	t.Helper()
	l, err := far.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
}

// TestStack: what a stack in the process does to a connection reaches the client:
// data and its end in both directions, and a port that nobody listens on.
func TestStack(t *testing.T) {
	near, far := stackPair(t)
	address := startWithin(t, (&SOCKS5{Tunnel: near}).Serve)
	for _, at := range []string{"10.2.0.2:80", "[fd00::2]:80"} {
		to := netip.MustParseAddrPort(at)
		listenFar(t, far, at, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			c.Write(append([]byte("got "), all...))
		})
		c := open(t, address)
		send(t, c, appendAddress([]byte{5, cmdConnect, 0}, to)...)
		reply := appendReply(nil, succeeded, netip.AddrPortFrom(to.Addr().Prev(), 0))
		expect(t, c, reply[:len(reply)-2]...)
		io.ReadFull(c, make([]byte, 2))
		sent := make([]byte, 5_000_000)
		rand.NewChaCha8([32]byte{1}).Read(sent)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		if all, err := io.ReadAll(c); err != nil || !bytes.Equal(all, append([]byte("got "), sent...)) {
			t.Errorf("%s: read %d bytes or others, %v", at, len(all), err)
		}
		c = open(t, address)
		send(t, c, appendAddress([]byte{5, cmdConnect, 0}, netip.AddrPortFrom(to.Addr(), 81))...)
		expectReply(t, c, connectionRefused)
	}
}

// TestStackWithoutIPv6: an address of a family that the stack does not have.
func TestStackWithoutIPv6(t *testing.T) {
	s, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/24")}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	address := startWithin(t, (&SOCKS5{Tunnel: s}).Serve)
	c := open(t, address)
	send(t, c, appendAddress([]byte{5, cmdConnect, 0}, netip.MustParseAddrPort("[fd00::2]:80"))...)
	expectReply(t, c, replyNetworkUnreachable)
}

// TestStackAssociate: datagrams to a stack in the process, and answers.
func TestStackAssociate(t *testing.T) {
	near, far := stackPair(t)
	address := startWithin(t, (&SOCKS5{Tunnel: near}).Serve)
	_, relay := associate(t, address, 0)
	u := udpSocket(t, "127.0.0.1:0")
	for network, at := range map[string]string{"udp4": "10.2.0.2:53", "udp6": "[fd00::2]:53"} {
		pc, err := far.ListenPacket(network, at)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			buf := make([]byte, 100)
			for {
				n, from, err := pc.ReadFrom(buf)
				if err != nil {
					return
				}
				pc.WriteTo(buf[:n], from)
			}
		}()
		to := netip.MustParseAddrPort(at)
		// A port that nobody listens on does not end the association.
		sendTo(t, u, relay, datagramTo(netip.AddrPortFrom(to.Addr(), 99), "nobody"))
		sendTo(t, u, relay, datagramTo(to, "hello"))
		expectDatagram(t, u, datagramTo(to, "hello"))
	}
}

// TestStackForward: a port of the stack leads to a server outside of it, and ends
// with its context.
func TestStackForward(t *testing.T) {
	near, far := stackPair(t)
	server := serveEach(t, echoAtEnd)
	l, err := near.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	startWithin(t, func(ctx context.Context, unused net.Listener) error {
		unused.Close()
		return (&Forward{Dial: dialer("tcp", server.String())}).Serve(ctx, l)
	})
	c, err := far.Dial("tcp", "10.2.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	c.(closeWriter).CloseWrite()
	expectEnd(t, c, "got hello")
}

// TestStallAfterHalfClose: a receiver that takes nothing for longer than a connection may
// be silent after one direction has ended gets everything all the same: it was not silent.
func TestStallAfterHalfClose(t *testing.T) {
	near, far := stackPair(t)
	const size = 30_000_000
	got := make(chan int64, 1)
	listenFar(t, far, "10.2.0.2:80", func(c net.Conn) {
		c.(closeWriter).CloseWrite()
		time.Sleep(600 * time.Millisecond)
		n, _ := io.Copy(io.Discard, c)
		got <- n
	})
	remote, err := near.DialContext(t.Context(), "tcp", "10.2.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, direct := remote.(writerFrom); !direct {
		t.Error("a connection of the stack does not read into its own memory")
	}
	client, accepted := socketPair(t)
	if r := newReader(accepted); runtime.GOOS == "linux" && r.source == nil {
		t.Error("a socket has no Source")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := relayed{halfClosedTimeout: 300 * time.Millisecond}
		r.run(t.Context(), accepted, remote)
	}()
	if n, err := client.Write(make([]byte, size)); err != nil {
		t.Errorf("the client wrote %d bytes: %v", n, err)
	}
	client.CloseWrite()
	if n := <-got; n != size {
		t.Errorf("%d of %d bytes arrived", n, size)
	}
	<-done
}
