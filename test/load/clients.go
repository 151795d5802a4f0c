package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/clock"
	"wgd/test/lab"
)

// ClientsDevice is the TUN interface through which programs on the host of Clients use the
// tunnels of its peers. PrepareClients makes it.
const ClientsDevice = "clients0"

const (
	innerNet  = "10.64"
	probePort = 7000 // from which a peer sends its probes to lab.EchoPort
	probeSize = 64   // bytes of an inner packet
)

// ClientInner returns the address of a peer of Clients inside the tunnel.
func ClientInner(peer int) string { return fmt.Sprintf("%s.%d.%d", innerNet, peer>>8, peer&255) }

// PrepareClients makes what Clients needs on its host: the outer and inner addresses of its
// peers are local, and what goes to an address beyond their tunnels leaves through them.
func PrepareClients(h *lab.Host, beyond string) {
	h.Must("ip route add local %s.0.0/16 dev lo && ip route add local %s.0.0/16 dev lo", peerNet, innerNet)
	h.Must("ip tuntap add %[1]s mode tun && ip link set %[1]s mtu 1420 up && ip route add %[2]s dev %[1]s", ClientsDevice, beyond)
}

// clients simulates peers as Linux has them, each with an address, tunnels and timers of its
// own, and data: each sends Job.PacketRate probes a second to Job.Inner, where a lab.Echo
// answers. Other programs on its host use their tunnels through ClientsDevice.
func clients(j Job) (func() (Reading, error), error) {
	c, err := newClients(j)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 3)
	go func() { failed <- c.readOuter() }()
	go func() { failed <- c.readInner() }()
	go func() { failed <- c.run(j.PacketRate) }()
	return func() (Reading, error) {
		select {
		case err := <-failed:
			return Reading{}, err
		default:
			return c.read(), nil
		}
	}, nil
}

// clientsState is the state of all peers of clients.
type clientsState struct {
	conn   *net.UDPConn
	device *os.File // ClientsDevice
	remote netip.AddrPort
	beyond netip.Addr

	mu    sync.Mutex
	peers []client
}

type client struct {
	*linuxPeer
	address netip.Addr
	inner   netip.Addr
	heard   hearing
	probe   time.Duration // when the next one is due
}

func newClients(j Job) (*clientsState, error) {
	members, err := j.Peers.members()
	if err != nil {
		return nil, err
	}
	c := &clientsState{peers: make([]client, len(members))}
	if c.remote, err = netip.ParseAddrPort(j.Remote); err != nil {
		return nil, err
	}
	if c.beyond, err = netip.ParseAddr(j.Inner); err != nil || !c.beyond.Is4() || j.PacketRate <= 0 {
		return nil, fmt.Errorf("clients need an inner IPv4 address and a rate of packets, not %q and %v", j.Inner, j.PacketRate)
	}
	if c.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: peerPort}); err != nil {
		return nil, err
	}
	if err := requestDestinations(c.conn); err != nil {
		return nil, err
	}
	if c.device, err = openTUN(ClientsDevice); err != nil {
		return nil, err
	}
	interval := time.Duration(float64(time.Second) / j.PacketRate)
	for i, m := range members {
		p := &c.peers[i]
		p.linuxPeer = newLinuxPeer(m, i, c.remote, rand.New(rand.NewPCG(j.Peers.Seed, uint64(i))))
		p.address, p.inner = netip.MustParseAddrPort(Endpoint(i)).Addr(), netip.MustParseAddr(ClientInner(i))
		p.probe = interval * time.Duration(i) / time.Duration(len(members))
		source := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: p.address.As4()})
		p.transmit = func(to netip.AddrPort, msg []byte) { c.conn.WriteMsgUDPAddrPort(msg, source, to) } // lost if it fails
		p.deliver = func(packet []byte) { c.deliver(p, packet) }
	}
	return c, nil
}

// openTUN attaches to an interface that exists.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func wallAndMono() clock.Now { return clock.Now{Mono: clock.Time(Now()), Wall: time.Now()} }

// readOuter reads what comes to the peers.
func (c *clientsState) readOuter() error {
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	for {
		n, oobn, _, from, err := c.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return err
		}
		if i, ok := peerOf(oob[:oobn]); ok && i < len(c.peers) {
			c.mu.Lock()
			c.peers[i].Receive(wallAndMono(), from, buf[:n])
			c.mu.Unlock()
		}
	}
}

// deliver takes an inner packet: the answer to a probe, or one for another program.
func (c *clientsState) deliver(p *client, packet []byte) {
	h, ok := parseInner(packet)
	if !ok || h.destination != p.inner {
		return
	}
	if h.protocol == unix.IPPROTO_UDP && h.port == probePort {
		p.heard.now(Now())
		return
	}
	c.device.Write(packet[:h.length]) // lost if it fails
}

// readInner reads what other programs send through the tunnels.
func (c *clientsState) readInner() error {
	buf := make([]byte, 1<<16)
	for {
		n, err := c.device.Read(buf)
		if err != nil {
			return err
		}
		h, ok := parseInner(buf[:n])
		if !ok {
			continue
		}
		if i, ok := clientOf(h.source); ok && i < len(c.peers) {
			c.mu.Lock()
			c.peers[i].Send(wallAndMono(), append([]byte(nil), buf[:h.length]...))
			c.mu.Unlock()
		}
	}
}

func clientOf(inner netip.Addr) (peer int, ok bool) {
	a := inner.As4()
	i := int(a[2])<<8 | int(a[3])
	return i, ClientInner(i) == inner.String()
}

// run has the peers send their probes, and ticks their timers. It returns only with an error.
func (c *clientsState) run(rate float64) error {
	const step = 10 * time.Millisecond
	interval := time.Duration(float64(time.Second) / rate)
	for begun := time.Now(); ; time.Sleep(step) {
		now, elapsed := wallAndMono(), time.Since(begun)
		for i := range c.peers {
			p := &c.peers[i]
			c.mu.Lock() // not for all of them, so that nothing waits long
			p.Tick(now)
			if elapsed >= p.probe {
				p.probe = max(p.probe+interval, elapsed-interval) // what could not be sent in time is left out
				p.heard.begin(int64(now.Mono))
				p.Send(now, probe(p.inner, c.beyond))
			}
			c.mu.Unlock()
		}
	}
}

// read returns what has happened to the peers since the last reading.
func (c *clientsState) read() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Reading{Nanoseconds: Now()}
	for i := range c.peers {
		p := &c.peers[i]
		r.Handshakes += uint64(p.completed)
		r.Packets += p.heard.count
		if p.endpoint != c.remote {
			r.Lost++
		}
		r.Silences = append(r.Silences, p.heard.take())
	}
	return r
}

// An innerHeader is what Clients needs of an IPv4 packet.
type innerHeader struct {
	source, destination netip.Addr
	protocol            byte
	port                uint16 // of the destination, of UDP and TCP
	length              int
}

func parseInner(b []byte) (h innerHeader, ok bool) {
	if len(b) < 24 || b[0]>>4 != 4 {
		return h, false
	}
	size := int(b[0]&15) * 4
	h.length = int(binary.BigEndian.Uint16(b[2:]))
	if size < 20 || h.length > len(b) || h.length < size+4 {
		return h, false
	}
	h.source, h.destination = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	h.protocol, h.port = b[9], binary.BigEndian.Uint16(b[size+2:])
	return h, true
}

// probe returns a packet for an echo server.
func probe(from, to netip.Addr) []byte {
	b := make([]byte, probeSize)
	b[0], b[8], b[9] = 4<<4|5, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], probeSize)
	source, destination := from.As4(), to.As4()
	copy(b[12:], source[:])
	copy(b[16:], destination[:])
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum&0xffff))
	binary.BigEndian.PutUint16(b[20:], probePort)
	binary.BigEndian.PutUint16(b[22:], lab.EchoPort)
	binary.BigEndian.PutUint16(b[24:], probeSize-20) // and no checksum, as UDP over IPv4 may have it
	return b
}
