package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// An association relays datagrams between one client and the tunnel, as long as
// the client's TCP connection exists.
type association struct {
	tunnel Tunnel
	log    *slog.Logger
	local  *net.UDPConn
	// from is the address of the TCP connection, from which datagrams are
	// accepted. The port is that of the request or else of the first datagram.
	from netip.Addr
	port atomic.Uint32 // 0 while not known

	ctx        context.Context
	goroutines sync.WaitGroup
	mu         sync.Mutex
	sockets    [2]net.PacketConn // in the tunnel, for IPv4 and IPv6; nil while not needed
	names      nameCache
}

// associate serves UDP ASSOCIATE until c ends. The client sends from port, or
// from any if that is 0.
func (s *SOCKS5) associate(ctx context.Context, c net.Conn, port uint16) {
	local, err := listenBeside(c)
	if err != nil {
		s.refuse(c, generalFailure, err)
		return
	}
	defer local.Close()
	ctx, cancel := context.WithCancel(ctx)
	a := &association{tunnel: s.Tunnel, log: logger(s.Log), local: local, from: addrPort(c.RemoteAddr()).Addr(), ctx: ctx}
	a.port.Store(uint32(port))
	defer a.goroutines.Wait()
	defer a.close()
	defer cancel()
	a.goroutines.Go(a.send)
	if _, err := c.Write(appendReply(nil, succeeded, addrPort(local.LocalAddr()))); err != nil {
		return
	}
	var ignored [64]byte
	for err == nil {
		_, err = c.Read(ignored[:])
	}
}

// listenBeside opens a UDP socket on the address at which the client reached c.
// No other address will do: it might be open to others, or not be reachable for
// the client.
func listenBeside(c net.Conn) (*net.UDPConn, error) {
	at, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok || !addrPort(c.RemoteAddr()).IsValid() {
		return nil, fmt.Errorf("UDP ASSOCIATE through %v: only a client that connects by TCP has an address for datagrams", c.LocalAddr())
	}
	network := "udp6"
	if at.IP.To4() != nil {
		network = "udp4"
	}
	return net.ListenUDP(network, &net.UDPAddr{IP: at.IP, Zone: at.Zone})
}

// close ends everything that the association's goroutines wait for.
func (a *association) close() {
	a.local.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, socket := range a.sockets {
		if socket != nil {
			socket.Close()
		}
	}
}

// send relays what the client sends.
func (a *association) send() {
	in := packetReader{wait: waiterOf(a.local)}
	defer in.release()
	readErrors(a.ctx, func() error {
		buf, err := in.buffer()
		if err != nil {
			return err
		}
		n, from, err := a.local.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if !a.accepts(from) {
			return nil
		}
		to, data, err := parseDatagram(buf[:n])
		if err != nil {
			a.log.Debug("datagram dropped", "client", from, "error", err)
			return nil
		}
		// Only now: a datagram that is not for us must not decide the port.
		a.port.CompareAndSwap(0, uint32(from.Port()))
		a.route(to, data)
		return nil
	})
}

func (a *association) accepts(from netip.AddrPort) bool {
	port := a.port.Load()
	return from.Addr().Unmap().WithZone("") == a.from.WithZone("") && (port == 0 || port == uint32(from.Port()))
}

// route sends data to its target, at once or when the name has been looked up.
func (a *association) route(to target, data []byte) {
	addr := to.addr
	if !addr.IsValid() {
		a.mu.Lock()
		var begin bool
		addr, begin = a.names.find(time.Now(), to, data)
		a.mu.Unlock()
		if begin {
			a.goroutines.Go(func() { a.lookup(to.name) })
		}
		if !addr.IsValid() {
			return
		}
	}
	if err := a.write(netip.AddrPortFrom(addr, to.port), data); err != nil {
		a.log.Debug("datagram not sent", "target", to, "error", err)
	}
}

// lookup looks up a name, and sends the datagrams that wait for it.
func (a *association) lookup(name string) {
	ctx, cancel := context.WithTimeout(a.ctx, dialTimeout)
	defer cancel()
	addrs, err := addresses(ctx, a.tunnel, target{name: name})
	if err != nil {
		a.log.Info("name of a datagram not found", "client", a.from, "name", name, "error", err)
	}
	// The first address for which there is a way: the tunnel may have one
	// family only.
	var chosen netip.Addr
	for _, addr := range addrs {
		if _, err := a.socket(addr); err == nil {
			chosen = addr
			break
		}
	}
	a.mu.Lock()
	waiting := a.names.found(time.Now(), name, chosen)
	a.mu.Unlock()
	for _, d := range waiting {
		if chosen.IsValid() {
			a.write(netip.AddrPortFrom(chosen, d.port), d.data)
		}
	}
}

func (a *association) write(to netip.AddrPort, data []byte) error {
	socket, err := a.socket(to.Addr())
	if err != nil {
		return err
	}
	_, err = socket.WriteTo(data, net.UDPAddrFromAddrPort(to))
	return err
}

// socket returns the socket in the tunnel for the family of an address.
func (a *association) socket(to netip.Addr) (net.PacketConn, error) {
	i, network, any := 0, "udp4", "0.0.0.0:0"
	if to.Is6() {
		i, network, any = 1, "udp6", "[::]:0"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return nil, net.ErrClosed
	}
	if a.sockets[i] == nil {
		socket, err := a.tunnel.ListenPacket(network, any)
		if err != nil {
			return nil, err
		}
		a.sockets[i] = socket
		a.goroutines.Go(func() { a.receive(socket) })
	}
	return a.sockets[i], nil
}

// receive relays what arrives at a socket in the tunnel. The client is told where
// each datagram comes from.
func (a *association) receive(socket net.PacketConn) {
	const header = 3 + 1 + 16 + 2 // at most
	in := packetReader{wait: waiterOf(socket)}
	defer in.release()
	readErrors(a.ctx, func() error {
		buf, err := in.buffer()
		if err != nil {
			return err
		}
		n, from, err := socket.ReadFrom(buf[header:])
		if err != nil {
			return err
		}
		source := addrPort(from)
		var space [header]byte
		head := appendAddress(space[:3], source)
		datagram := buf[header-len(head) : header+n]
		copy(datagram, head)
		if port := a.port.Load(); port != 0 {
			a.local.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(a.from, uint16(port)))
		}
		return nil
	})
}

// readErrors calls read until its socket is closed or ctx is done. Other errors
// are reports of ICMP about what was sent before, and say nothing about the
// socket; but if there is nothing else, it is broken. readErrors returns the last
// error.
func readErrors(ctx context.Context, read func() error) (err error) {
	const max = 20
	var wait backoff
	for failed := 0; failed < max && ctx.Err() == nil; {
		switch err = read(); {
		case err == nil:
			failed, wait = 0, 0
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			if failed++; failed > max/2 {
				wait.sleep(ctx)
			}
		}
	}
	return err
}
