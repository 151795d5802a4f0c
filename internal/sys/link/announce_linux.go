package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// An Announcer keeps routes in one table, with a protocol number of their own by which they
// are told from those of others. Methods may be called from several goroutines.
type Announcer struct {
	table    uint32
	protocol byte

	mu      sync.Mutex
	fd      int // -1 when closed
	seq     uint32
	request []byte
	answer  []byte
}

const (
	// announcedAtOnce is how many routes are changed with one request. The kernel may report
	// an error about each, which must fit into the receive buffer.
	announcedAtOnce = 128
	dumpBuffer      = 64 << 10
)

// NewAnnouncer returns an Announcer for a table. The error is ErrNoRights if this process may
// not change routes.
func NewAnnouncer(table uint32, protocol uint8) (*Announcer, error) {
	fd, err := routeSocket(0)
	if err != nil {
		return nil, err
	}
	a := &Announcer{table: table, protocol: protocol, fd: fd, answer: make([]byte, dumpBuffer)}
	// The kernel filters dumps by table, protocol and interface; one before 4.20 does not.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	// The rights are checked before it is found that there is no such route.
	if _, err := a.send(unix.RTM_DELROUTE, 0, 1, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32")}); errors.Is(err, unix.EPERM) {
		a.Close()
		return nil, ErrNoRights
	}
	return a, nil
}

// Close ends the use of the Announcer. The routes stay.
func (a *Announcer) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}

// Change removes routes towards an interface, and then adds others. A route that is there
// already, or gone, is no error, and neither is one of IPv6 without IPv6 in the kernel. It
// returns those that could not be changed, with the error about the first one; the others are
// changed all the same. The error is ErrDown if the interface has no routes now.
//
// A route of the same prefix towards another interface stays, and comes before the one that is
// added: a peer may move from one interface to another, and its first route goes later.
func (a *Announcer) Change(name string, remove, add []netip.Prefix) (failed []netip.Prefix, err error) {
	index, err := interfaceIndex(name)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range []struct {
		kind, flags uint16
		prefixes    []netip.Prefix
	}{{unix.RTM_DELROUTE, 0, remove}, {unix.RTM_NEWROUTE, unix.NLM_F_CREATE | unix.NLM_F_APPEND, add}} {
		for some := range slices.Chunk(c.prefixes, announcedAtOnce) {
			f, e := a.send(c.kind, c.flags, index, some)
			failed = append(failed, f...)
			if err == nil {
				err = e
			}
		}
	}
	if err == nil {
		return nil, nil
	}
	if now, e := interfaceIndex(name); e != nil || now != index {
		return nil, ErrDown
	}
	return failed, fmt.Errorf("%v in table %d: %w", failed[0], a.table, err)
}

// interfaceIndex returns the index of an interface that is up.
func interfaceIndex(name string) (uint32, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request) != nil || request.Uint16()&unix.IFF_UP == 0 {
		return 0, ErrDown
	}
	if unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request) != nil {
		return 0, ErrDown
	}
	return request.Uint32(), nil
}

// Each calls f for each route towards an interface that is there, whichever Announcer of this
// table and protocol has added it. During changes by others, it may miss some.
func (a *Announcer) Each(name string, f func(netip.Prefix)) error {
	index, err := interfaceIndex(name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := a.dump(index, family, func(message []byte) {
			if p, ok := a.ours(message, index); ok {
				f(p)
			}
		}); err != nil {
			return fmt.Errorf("routes in table %d: %w", a.table, err)
		}
	}
	return nil
}

// ours parses a route, and reports whether it is one towards the interface that an Announcer
// has added.
func (a *Announcer) ours(message []byte, index uint32) (netip.Prefix, bool) {
	if len(message) < unix.SizeofRtMsg || message[5] != a.protocol || message[7] != unix.RTN_UNICAST {
		return netip.Prefix{}, false
	}
	table, oif := uint32(message[4]), uint32(0)
	to := netip.IPv4Unspecified()
	if message[0] == unix.AF_INET6 {
		to = netip.IPv6Unspecified()
	}
	for kind, value := range attributes(message[unix.SizeofRtMsg:]) {
		switch {
		case kind == unix.RTA_TABLE && len(value) >= 4:
			table = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_OIF && len(value) >= 4:
			oif = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_DST:
			if address, ok := netip.AddrFromSlice(value); ok && address.BitLen() == to.BitLen() {
				to = address
			}
		}
	}
	p := netip.PrefixFrom(to, int(message[1]))
	return p, table == a.table && oif == index && p.IsValid()
}

// send makes the same change of several routes with one request. It returns those that could
// not be changed, with the error about the first one. The caller holds mu.
func (a *Announcer) send(kind, flags uint16, index uint32, prefixes []netip.Prefix) (failed []netip.Prefix, err error) {
	if a.fd < 0 {
		return prefixes, os.ErrClosed
	}
	a.request = a.request[:0]
	first := a.seq + 1
	for i, p := range prefixes {
		family := byte(unix.AF_INET6)
		if p.Addr().Is4() {
			family = unix.AF_INET
		}
		if i == len(prefixes)-1 {
			flags |= unix.NLM_F_ACK // the answer to the last one ends the answers
		}
		a.request = a.appendRoute(a.request, kind, flags, index, family, p)
	}
	if _, err := unix.Write(a.fd, a.request); err != nil {
		return prefixes, err
	}
	for {
		n, e := unix.Read(a.fd, a.answer)
		if e != nil {
			return prefixes, e
		}
		for m := range messages(a.answer[:n]) {
			at := m.seq - first
			if m.kind != unix.NLMSG_ERROR || len(m.body) < 4 || at >= uint32(len(prefixes)) {
				continue
			}
			if code := m.code(); code != 0 && !done(kind, code) {
				failed = append(failed, prefixes[at])
				if err == nil {
					err = code
				}
			}
			if m.seq == a.seq {
				return failed, err
			}
		}
	}
}

// done reports whether an error means that there is nothing to change. A kernel without IPv6
// refuses all its routes, however often they are tried.
func done(kind uint16, code unix.Errno) bool {
	if kind == unix.RTM_DELROUTE {
		return code == unix.ESRCH || code == unix.ENOENT || noFamily(code)
	}
	return code == unix.EEXIST || noFamily(code)
}

// appendRoute appends a request about a route: header, struct rtmsg, attributes. Without a
// prefix it is one for a list.
func (a *Announcer) appendRoute(b []byte, kind, flags uint16, index uint32, family byte, p netip.Prefix) []byte {
	a.seq++
	at := len(b)
	b = append(b, make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)...)
	binary.NativeEndian.PutUint16(b[at+4:], kind)
	binary.NativeEndian.PutUint16(b[at+6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(b[at+8:], a.seq)
	msg := b[at+unix.SizeofNlMsghdr:]
	msg[0], msg[5] = family, a.protocol
	if a.table < 256 {
		msg[4] = byte(a.table)
	}
	if p.IsValid() {
		msg[1], msg[6], msg[7] = byte(p.Bits()), unix.RT_SCOPE_LINK, unix.RTN_UNICAST
		if family == unix.AF_INET6 {
			msg[6] = unix.RT_SCOPE_UNIVERSE
		}
		b = appendAddress(b, unix.RTA_DST, p.Addr())
	}
	b = binary.NativeEndian.AppendUint32(appendAttribute(b, unix.RTA_OIF, 4), index)
	b = binary.NativeEndian.AppendUint32(appendAttribute(b, unix.RTA_TABLE, 4), a.table)
	binary.NativeEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// A message is one of netlink.
type message struct {
	kind uint16
	seq  uint32
	body []byte
}

// code returns the number in a message of kind NLMSG_ERROR; 0 means that all is done.
func (m message) code() unix.Errno {
	return unix.Errno(-int32(binary.NativeEndian.Uint32(m.body)))
}

// messages iterates over the netlink messages in a buffer, up to the first one with an
// impossible length.
func messages(b []byte) func(yield func(message) bool) {
	return func(yield func(message) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			length := int(binary.NativeEndian.Uint32(b))
			if length < unix.SizeofNlMsghdr || length > len(b) {
				return
			}
			if !yield(message{binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b[8:]), b[unix.SizeofNlMsghdr:length]}) {
				return
			}
			b = b[min((length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
		}
	}
}
