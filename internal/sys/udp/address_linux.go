package udp

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// sockaddr has room for the socket address of either family.
type sockaddr [unix.SizeofSockaddrInet6]byte

// set writes an address, overwriting all bytes of an earlier one of the other family,
// and returns its length.
func (s *sockaddr) set(to netip.AddrPort, scope uint32) (length uint32) {
	clear(s[:])
	binary.BigEndian.PutUint16(s[2:], to.Port())
	if a := to.Addr().Unmap(); a.Is4() { // A54
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		ip := a.As4()
		copy(s[4:], ip[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	ip := to.Addr().As16()
	copy(s[8:], ip[:])
	binary.NativeEndian.PutUint32(s[24:], scope)
	return unix.SizeofSockaddrInet6
}

// get reads an address of which the kernel wrote length bytes. Each family has its own
// length and layout (B19).
func (s *sockaddr) get(length uint32) (from netip.AddrPort, scope uint32) {
	if length < 2 {
		return netip.AddrPort{}, 0
	}
	port := binary.BigEndian.Uint16(s[2:])
	switch family := binary.NativeEndian.Uint16(s[:]); {
	case family == unix.AF_INET && length >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port), 0
	case family == unix.AF_INET6 && length >= unix.SizeofSockaddrInet6:
		a := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
		return netip.AddrPortFrom(a, port), binary.NativeEndian.Uint32(s[24:])
	}
	return netip.AddrPort{}, 0
}

// zones converts the scope of a link-local address into a netip zone. The zone is always
// the interface's index, which does not change when the interface is renamed. The last
// zone is cached, so that datagrams cost no allocation.
type zones struct {
	scope uint32
	zone  string
}

func (z *zones) with(from netip.AddrPort, scope uint32) netip.AddrPort {
	if scope == 0 {
		return from
	}
	if scope != z.scope {
		z.scope, z.zone = scope, strconv.FormatUint(uint64(scope), 10)
	}
	return netip.AddrPortFrom(from.Addr().WithZone(z.zone), from.Port())
}

// scopes converts a zone into a scope. A configured zone may be the name of an interface;
// names are looked up once and cached.
type scopes map[string]uint32

func (s scopes) known(zone string) (scope uint32, ok bool) {
	if n, ok := s[zone]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(zone, 10, 32)
	return uint32(n), err == nil
}

// lookUp looks the name up in the network namespace of the socket.
func (s scopes) lookUp(fd int, zone string) (scope uint32, ok bool) {
	ifr, err := unix.NewIfreq(zone)
	if err != nil || unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr) != nil {
		return 0, false
	}
	s[zone] = ifr.Uint32()
	return s[zone], true
}
