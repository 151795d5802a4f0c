package load

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An outgoing burst is up to 64 datagrams that one system call sends.
type outgoing struct {
	list     []mmsghdr
	names    []unix.RawSockaddrInet4
	controls [][]byte
}

// newOutgoing returns a burst of n datagrams, all to one address or each to its own.
func newOutgoing(n int, to ...netip.AddrPort) *outgoing {
	o := &outgoing{list: messages(1)[:n], names: make([]unix.RawSockaddrInet4, n), controls: make([][]byte, n)}
	for i := range o.list {
		o.list[i].hdr.Namelen = unix.SizeofSockaddrInet4
		o.list[i].hdr.Name = (*byte)(unsafe.Pointer(&o.names[i]))
		if len(to) == 1 {
			o.to(i, to[0])
		}
	}
	return o
}

// to sets the destination of datagram i.
func (o *outgoing) to(i int, to netip.AddrPort) {
	o.names[i] = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: to.Port()<<8 | to.Port()>>8, Addr: to.Addr().As4()}
}

// from sets the source address of datagram i.
func (o *outgoing) from(i int, from [4]byte) {
	if o.controls[i] == nil {
		o.controls[i] = unix.PktInfo4(&unix.Inet4Pktinfo{})
		o.list[i].hdr.Control = &o.controls[i][0]
		o.list[i].hdr.SetControllen(len(o.controls[i]))
	}
	copy(o.controls[i][unix.CmsgLen(0)+4:], from[:]) // spec_dst, after the interface
}

// set sets the text of datagram i, which must stay as it is until the burst is sent.
func (o *outgoing) set(i int, msg []byte) {
	o.list[i].hdr.Iov.Base = &msg[0]
	o.list[i].hdr.Iov.SetLen(len(msg))
}

// send sends the burst, and returns how many datagrams the kernel took.
func (o *outgoing) send(fd int) int {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.list[0])), uintptr(len(o.list)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// burstFor returns how many datagrams are sent at once, at a rate or as fast as
// possible: what is due in about a millisecond.
func burstFor(rate float64) int {
	if rate <= 0 {
		return burst
	}
	return min(max(int(rate/1000), 1), burst)
}

// A pacer keeps a rate. When it is late by more than maxLate, it does not catch up.
type pacer struct {
	interval time.Duration // between two bursts; 0: as fast as possible
	next     time.Time
}

const maxLate = 5 * time.Millisecond

// newPacer returns a pacer for bursts of n datagrams.
func newPacer(n int, rate float64) *pacer {
	p := &pacer{next: time.Now()}
	if rate > 0 {
		p.interval = time.Duration(float64(n) / rate * float64(time.Second))
	}
	return p
}

// wait waits until the next burst is due.
func (p *pacer) wait() {
	if p.interval == 0 {
		return
	}
	if p.next = p.next.Add(p.interval); time.Since(p.next) > maxLate {
		p.next = time.Now()
	}
	if wait := time.Until(p.next); wait > 0 {
		time.Sleep(wait)
	}
}
