package load

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The path that a LateRelay makes, in each direction.
const (
	lateDelay = 33 * time.Millisecond // of every datagram
	lateExtra = 5 * time.Millisecond  // of some of them
	lateShare = 0.01

	relayBuffer = 16 << 20 // bytes; what is lost is a loss on the path
)

// lateRelay forwards the datagrams of whatever sends to port, to Remote, and back.
func lateRelay(j Job) (func() (Reading, error), error) {
	remote, err := netip.ParseAddrPort(j.Remote)
	if err != nil {
		return nil, err
	}
	near, err := relaySocket(port)
	if err != nil {
		return nil, err
	}
	far, err := relaySocket(0)
	if err != nil {
		return nil, err
	}
	var from atomic.Pointer[netip.AddrPort]
	var packets atomic.Uint64
	go lateDirection(near, far, &packets, func(source netip.AddrPort) { from.Store(&source) }, func() netip.AddrPort { return remote })
	go lateDirection(far, near, &packets, func(netip.AddrPort) {}, func() netip.AddrPort { return *from.Load() })
	return func() (Reading, error) { return Reading{Packets: packets.Load(), Nanoseconds: Now()}, nil }, nil
}

func relaySocket(port int) (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return c, raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, relayBuffer)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, relayBuffer)
	})
}

// A lateDatagram waits until it is due.
type lateDatagram struct {
	at   time.Time
	late bool
	data []byte
}

// lateDirection forwards what is received from one socket through another one.
func lateDirection(from, to *net.UDPConn, packets *atomic.Uint64, received func(netip.AddrPort), target func() netip.AddrPort) {
	waiting := make(chan lateDatagram, 1<<17)
	go func() {
		for {
			buf := make([]byte, 1500)
			n, source, err := from.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			received(source)
			d := lateDatagram{time.Now().Add(lateDelay), rand.Float64() < lateShare, buf[:n]}
			if d.late {
				d.at = d.at.Add(lateExtra)
			}
			waiting <- d
		}
	}()
	deliver := func(d lateDatagram) {
		time.Sleep(time.Until(d.at))
		to.WriteToUDPAddrPort(d.data, target())
		packets.Add(1)
	}
	deliverInTime(waiting, deliver)
}

// deliverInTime delivers datagrams in the order in which they are due. Those that
// are late arrive in that order, and so do the others.
func deliverInTime(arriving <-chan lateDatagram, deliver func(lateDatagram)) {
	var late []lateDatagram
	flush := func(before time.Time) {
		for len(late) > 0 && late[0].at.Before(before) {
			deliver(late[0])
			late = late[1:]
		}
	}
	for {
		d, ok := next(arriving, late)
		switch {
		case !ok:
			return
		case d.data == nil: // nothing else is due before late[0]
			flush(late[0].at.Add(1))
		case d.late:
			late = append(late, d)
		default:
			flush(d.at)
			deliver(d)
		}
	}
}

// next waits for a datagram to arrive, or for the first late one to be due. Then the
// datagram that it returns has no data.
func next(arriving <-chan lateDatagram, late []lateDatagram) (d lateDatagram, ok bool) {
	if len(late) == 0 {
		d, ok = <-arriving
		return d, ok
	}
	select {
	case d, ok = <-arriving: // even if late[0] is overdue
		return d, ok
	default:
	}
	select {
	case d, ok = <-arriving:
		return d, ok
	case <-time.After(time.Until(late[0].at)):
		return lateDatagram{}, true
	}
}
