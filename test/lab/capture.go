package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Packet is an IP packet that was recorded at an interface. A super-packet is one
// Packet, whose Length is the sum of its payloads.
type Packet struct {
	At         time.Time
	Out        bool // it left the host
	Src, Dst   netip.AddrPort
	Proto      int // 17 UDP, 1 ICMP, 58 ICMPv6, 6 TCP
	TOS        byte
	DF         bool
	Fragment   bool // it is a fragment, also the first one
	Type, Code byte // of ICMP
	Length     int  // of what follows the first 8 bytes of the UDP, TCP or ICMP header
	Payload    []byte
}

func (p Packet) String() string {
	dir := "in"
	if p.Out {
		dir = "out"
	}
	return fmt.Sprintf("%s %v > %v proto %d tos %#x type %d/%d payload %d % x", dir, p.Src, p.Dst, p.Proto, p.TOS, p.Type, p.Code, p.Length, p.Payload[:min(4, len(p.Payload))])
}

// payloadKept is how many bytes of each payload a capture keeps.
const payloadKept = 160

type capture struct {
	fd      int
	mu      sync.Mutex // of what is below
	packets []Packet
	buf     [1 << 17]byte
}

// Watch starts to record the packets of an interface. It returns the number of the
// capture.
func (h *Host) Watch(name string) int {
	h.t.Helper()
	return call[string, int](h, "Watch", name)
}

// Watched returns the packets that a capture has recorded so far.
func (h *Host) Watched(id int) []Packet {
	h.t.Helper()
	return call[int, []Packet](h, "Watched", id)
}

// WatchedUDP returns the packets of a capture that are UDP from or to a port.
func (h *Host) WatchedUDP(id, port int) []Packet {
	h.t.Helper()
	var list []Packet
	for _, p := range h.Watched(id) {
		if p.Proto == 17 && (int(p.Src.Port()) == port || int(p.Dst.Port()) == port) {
			list = append(list, p)
		}
	}
	return list
}

// ICMPErrors returns the packets of a capture that are ICMP unreachable, or errors
// of ICMPv6.
func (h *Host) ICMPErrors(id int) []Packet {
	h.t.Helper()
	var list []Packet
	for _, p := range h.Watched(id) {
		if p.Proto == 1 && p.Type == 3 || p.Proto == 58 && p.Type < 128 {
			list = append(list, p)
		}
	}
	return list
}

func (g *Agent) Watch(name string, id *int) error {
	index, err := indexOf(name)
	if err != nil {
		return err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		unix.Close(fd)
		return err
	}
	c := &capture{fd: fd}
	*id = g.keep(c)
	go c.run()
	return nil
}

// indexOf asks for one interface. Package net would list all of them, and may miss one
// while others come and go.
func indexOf(name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return int(request.Uint32()), nil
}

func (g *Agent) Watched(id int, r *[]Packet) error {
	c, err := opened[*capture](g, id)
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond) // for what the kernel is about to hand over
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.drain(); err != unix.EAGAIN {
		return err
	}
	*r = append([]Packet{}, c.packets...)
	return nil
}

// run records packets as they come.
func (c *capture) run() {
	for {
		ready := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR {
			return
		}
		c.mu.Lock()
		err := c.drain()
		c.mu.Unlock()
		if err != unix.EAGAIN {
			return
		}
	}
}

// drain records all packets that are in the socket, and returns EAGAIN.
func (c *capture) drain() error {
	for {
		n, from, err := unix.Recvfrom(c.fd, c.buf[:], unix.MSG_DONTWAIT)
		if err == unix.EINTR || err == unix.ENETDOWN {
			continue
		}
		if err != nil {
			return err
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		p, ok := readPacket(c.buf[:n])
		if !ok {
			continue
		}
		p.At, p.Out = time.Now(), ll.Pkttype == unix.PACKET_OUTGOING
		c.packets = append(c.packets, p)
	}
}

// readPacket parses what tests need of an IP packet.
func readPacket(b []byte) (Packet, bool) {
	var p Packet
	var src, dst netip.Addr
	var body []byte
	first := true
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		head := int(b[0]&15) * 4
		if len(b) < head {
			return p, false
		}
		src, _ = netip.AddrFromSlice(b[12:16])
		dst, _ = netip.AddrFromSlice(b[16:20])
		frag := binary.BigEndian.Uint16(b[6:])
		p.Proto, p.TOS, p.DF, p.Fragment = int(b[9]), b[1], frag&0x4000 != 0, frag&0x3fff != 0
		first = frag&0x1fff == 0
		body = b[head:]
	case len(b) >= 40 && b[0]>>4 == 6:
		src, _ = netip.AddrFromSlice(b[8:24])
		dst, _ = netip.AddrFromSlice(b[24:40])
		p.Proto, p.TOS, body = int(b[6]), b[0]<<4|b[1]>>4, b[40:]
		if p.Proto == 44 && len(body) >= 8 { // the fragment header
			p.Fragment = true
			first = binary.BigEndian.Uint16(body[2:])&0xfff8 == 0
			p.Proto, body = int(body[0]), body[8:]
		}
	default:
		return p, false
	}
	var sport, dport uint16
	if first && len(body) >= 8 {
		if p.Proto == 1 || p.Proto == 58 {
			p.Type, p.Code = body[0], body[1]
		} else {
			sport, dport = binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
		}
		body = body[8:]
	}
	p.Src, p.Dst = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	p.Length = len(body)
	p.Payload = append([]byte{}, body[:min(len(body), payloadKept)]...)
	return p, true
}
