package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/packet"
	"wgd/internal/sys/netns/netnstest"
)

// A refuser is an interface whose simulated kernel refuses some writes, and records
// the others.
type refuser struct {
	opened
	clock  time.Duration
	refuse func(pieces int, kind byte) syscall.Errno

	written [][]byte
}

func newRefuser(t *testing.T) *refuser {
	ownNetwork(t)
	d, err := Create("wgtest", Options{Queues: 2})
	if err != nil {
		netnstest.LeaveOut(t, "a TUN device, and so root", err)
	}
	t.Cleanup(func() { d.Close() })
	r := &refuser{opened: openFirst(d)}
	r.supers.now = func() time.Duration { return r.clock }
	r.write.writev = r.writev
	return r
}

func (r *refuser) writev(_ uintptr, pieces []unix.Iovec) syscall.Errno {
	var raw []byte
	for _, p := range pieces {
		raw = append(raw, unsafe.Slice(p.Base, p.Len)...)
	}
	if r.refuse != nil {
		if errno := r.refuse(len(pieces), raw[1]); errno != 0 {
			return errno
		}
	}
	r.written = append(r.written, raw)
	return 0
}

// takeWritten returns the frames that were written since the last call.
func (r *refuser) takeWritten() [][]byte {
	w := r.written
	r.written = nil
	return w
}

// joinedPackets returns the frames of count packets, and the pieces of the super-packet
// to which a Coalescer joins them.
func joinedPackets(t *testing.T, udp bool, count int) (pieces, packets [][]byte) {
	t.Helper()
	const size = 1000
	p := ipv4UDP(7777, bytes.Repeat([]byte("0123456789"), size/10*count))
	h := packet.VirtioHeader{Flags: packet.NeedsChecksum, GSOType: packet.GSOUDPL4, GSOSize: size, ChecksumStart: 20, ChecksumOffset: 6}
	if !udp {
		p = slices.Insert(p, 28, make([]byte, 12)...)
		p[9] = 6
		copy(p[24:], []byte{0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x10, 1, 1, 0, 0, 0, 0})
		h.GSOType, h.ChecksumOffset = packet.GSOTCP4, 16
	}
	p[6] = 0x40 // DF
	pseudo := uint32(0)
	for _, word := range []int{12, 14, 16, 18} {
		pseudo += uint32(binary.BigEndian.Uint16(p[word:]))
	}
	pseudo += uint32(p[9]) + uint32(len(p)-20)
	binary.BigEndian.PutUint16(p[20+int(h.ChecksumOffset):], uint16(pseudo>>16+pseudo))
	frame := make([]byte, HeaderSize, HeaderSize+len(p))
	h.Encode(frame)
	var s packet.Segments
	if !s.Reset(append(frame, p...)) {
		t.Fatal("the frame is not a super-packet")
	}
	c := packet.Coalescer{Offloads: packet.Offloads{TCP: true, UDP: true}}
	for n := s.Next(); n > 0; n = s.Next() {
		one := make([]byte, HeaderSize+n)
		s.Put(one[HeaderSize:])
		packets = append(packets, bytes.Clone(one))
		if c.Add(one) != nil {
			t.Fatal("the Coalescer did not join the packets")
		}
	}
	if pieces = c.Flush(); len(pieces) != count {
		t.Fatalf("a super-packet of %d pieces, want %d", len(pieces), count)
	}
	return pieces, packets
}

// A super-packet that is refused is written at once packet by packet, in order. Then
// packets of its kind are not joined, for twice as long after each refused attempt.
func TestRefusedSuperPacketIsWrittenSingly(t *testing.T) {
	for _, udp := range []bool{false, true} {
		for name, write := range map[string]func(r *refuser) func([][]byte) error{
			"one writer":     func(r *refuser) func([][]byte) error { return r.Write },
			"another writer": func(r *refuser) func([][]byte) error { return r.NewWriter().Write },
		} {
			for _, errno := range []syscall.Errno{unix.EPERM, unix.EINVAL, unix.ENOSYS, unix.EMSGSIZE} {
				r := newRefuser(t)
				r.clock = 100 * time.Second
				r.refuse = func(pieces int, _ byte) syscall.Errno {
					if pieces > 1 {
						return errno
					}
					return 0
				}
				put, other := write(r), packet.Offloads{TCP: udp, UDP: !udp}
				send := func(wantRefused uint64) {
					t.Helper()
					pieces, packets := joinedPackets(t, udp, 10)
					if err := put(pieces); err != nil {
						t.Fatalf("%s, UDP %v, %v: %v", name, udp, errno, err)
					}
					if got := r.takeWritten(); !slices.EqualFunc(got, packets, bytes.Equal) {
						t.Fatalf("%s, UDP %v, %v: %d packets were written, which are not the %d that were joined", name, udp, errno, len(got), len(packets))
					}
					if got := r.Unjoined(); got != wantRefused {
						t.Errorf("Unjoined: got %d, want %d", got, wantRefused)
					}
				}
				if r.Offloads() != (packet.Offloads{TCP: true, UDP: true}) {
					t.Fatal("this kernel does not have both offloads")
				}
				send(10)
				send(20) // joined before the pause: refused as well, does not make the pause longer
				for pause := time.Second; pause < 200*time.Second; pause *= 2 {
					r.clock += min(pause, time.Minute) - 1
					if got := r.Offloads(); got != other {
						t.Fatalf("Offloads during the pause of %v: got %+v, want %+v", pause, got, other)
					}
					if r.clock++; r.Offloads() != (packet.Offloads{TCP: true, UDP: true}) {
						t.Fatalf("Offloads do not return after %v", min(pause, time.Minute))
					}
					send(r.Unjoined() + 10)
				}
				// A super-packet is accepted again, so the next pause is short.
				r.clock += time.Minute
				refuse := r.refuse
				r.refuse = nil
				pieces, _ := joinedPackets(t, udp, 10)
				if err := put(pieces); err != nil || len(r.takeWritten()) != 1 {
					t.Fatal("the super-packet was not written as one:", err)
				}
				r.refuse = refuse
				send(r.Unjoined() + 10)
				if r.clock += time.Second; r.Offloads() != (packet.Offloads{TCP: true, UDP: true}) {
					t.Error("the next pause is longer than a second")
				}
			}
		}
	}
}

// After a lack of memory, the pause is short and stays so.
func TestRefusedForLackOfMemory(t *testing.T) {
	r := newRefuser(t)
	r.refuse = func(_ int, kind byte) syscall.Errno {
		if kind != packet.GSONone {
			return unix.ENOMEM
		}
		return 0
	}
	for range 10 {
		pieces, packets := joinedPackets(t, false, 5)
		if err := r.Write(pieces); err != nil || !slices.EqualFunc(r.takeWritten(), packets, bytes.Equal) {
			t.Fatal(err)
		}
		if r.clock += memoryPause - 1; r.Offloads().TCP {
			t.Fatal("TCP packets are joined without a pause")
		}
		if r.clock++; !r.Offloads().TCP {
			t.Fatal("TCP packets are not joined after the pause")
		}
	}
}

// If single packets are refused as well, joining is not the reason.
func TestSinglePacketsRefused(t *testing.T) {
	r := newRefuser(t)
	both := packet.Offloads{TCP: true, UDP: true}
	for _, c := range []struct{ errno, want error }{
		{unix.EPERM, unix.EPERM}, {unix.ENOMEM, unix.ENOMEM}, {unix.EIO, ErrDown}, {unix.EBADFD, ErrGone},
	} {
		r.refuse = func(int, byte) syscall.Errno { return c.errno.(syscall.Errno) }
		pieces, _ := joinedPackets(t, true, 5)
		if err := r.Write(pieces); !errors.Is(err, c.want) || r.Offloads() != both || r.Unjoined() != 0 {
			t.Errorf("%v: got error %v, offloads %+v, %d unjoined, want %v, %+v, 0", c.errno, err, r.Offloads(), r.Unjoined(), c.want, both)
		}
	}
	// Write returns an error if some packets are lost, and the others arrive.
	calls := 0
	r.refuse = func(pieces int, _ byte) syscall.Errno {
		if calls++; pieces > 1 || calls == 3 {
			return unix.ENOBUFS
		}
		return 0
	}
	pieces, _ := joinedPackets(t, true, 5)
	if err := r.Write(pieces); err != unix.ENOBUFS || len(r.takeWritten()) != 4 {
		t.Error("the third packet was refused: want ENOBUFS and the other four, got", err)
	}
}

// A stream passes although the kernel refuses every super-packet.
func TestStreamPassesWhenSuperPacketsAreRefused(t *testing.T) {
	var l net.Listener
	r := newRelay(t, Options{}, func(b opened) {
		b.write.writev = func(fd uintptr, pieces []unix.Iovec) syscall.Errno {
			if unsafe.Slice(pieces[0].Base, 2)[1] != packet.GSONone {
				return unix.EINVAL
			}
			return writev(fd, pieces)
		}
		var err error
		if l, err = net.Listen("tcp", "10.9.0.2:5001"); err != nil {
			t.Fatal(err)
		}
	})
	defer l.Close()
	sendStream(t, l, 8<<20)
	if r.b.Unjoined() == 0 || r.b.Offloads().TCP {
		t.Fatal("no super-packet was refused")
	}
}

// The offloads of an earlier program are disabled on an existing interface: without
// a virtio header, nothing would mark super-packets and incomplete checksums.
func TestEarlierOffloadsAreCleared(t *testing.T) {
	ownNetwork(t)
	create(t, "wgtest", Options{}).Close() // or leave the test out
	ip(t, "tuntap add wgkept mode tun vnet_hdr")
	attached := func(flags uint16) int {
		fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ifr, _ := unix.NewIfreq("wgkept")
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | flags)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	earlier := attached(unix.IFF_VNET_HDR)
	if err := unix.IoctlSetInt(earlier, unix.TUNSETOFFLOAD, offloadUSO); err != nil {
		t.Fatal(err)
	}
	unix.Close(earlier)
	for name, open := range map[string]func() (Device, error){
		"descriptor": func() (Device, error) { return FromFD(attached(0), Options{}) },
		"existing":   func() (Device, error) { return Create("wgkept", Options{Existing: true, NoVnetHdr: true}) },
	} {
		d, err := open()
		if err != nil {
			t.Fatal(name, err)
		}
		up(t, "wgkept", 1420)
		ip(t, "address replace 10.9.0.1/24 dev wgkept")
		c, err := net.Dial("udp4", "10.9.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := c.(*net.UDPConn).SyscallConn()
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(bytes.Repeat([]byte("marked"), 500)); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if p := readMarked(t, d.Queue(0), "marked")[HeaderSize:]; len(p) != 1028 {
				t.Errorf("%s: packet %d has %d bytes, want 1028", name, i, len(p))
				break
			}
		}
		c.Close()
		d.Close()
		again := attached(unix.IFF_VNET_HDR)
		unix.IoctlSetInt(again, unix.TUNSETOFFLOAD, offloadUSO)
		unix.Close(again)
	}
}
