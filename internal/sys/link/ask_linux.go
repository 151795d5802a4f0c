package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// asker asks the kernel for routes. It makes the requests itself, because package
// netlink cannot name the protocol and the ports, to which rules may refer, and sends
// one request in each call.
type asker struct {
	mu      sync.Mutex
	fd      int // -1 when closed
	seq     uint32
	request []byte
	answer  []byte
}

const (
	// Flags of a request for a route, which golang.org/x/sys/unix does not have.
	rtmLookupTable = 0x1000 // RTM_F_LOOKUP_TABLE
	rtmFIBMatch    = 0x2000 // RTM_F_FIB_MATCH

	// maxAnswer is enough for an entry with hundreds of next hops. A longer answer is
	// truncated.
	maxAnswer = 32 << 10
	// answersBuffer is the receive buffer of the socket. The kernel counts about 5 KB
	// for each answer.
	answersBuffer = 1 << 20
)

// routeSocket returns a netlink socket for routes. It is connected, so it receives from the
// kernel only, not from other processes.
func routeSocket(flags int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("netlink socket: %w", err)
	}
	return fd, nil
}

func newAsker() (*asker, error) {
	fd, err := routeSocket(unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, answersBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, answersBuffer)
	}
	return &asker{fd: fd, answer: make([]byte, maxAnswer)}, nil
}

func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}

// ask is RouteWatcher's Ask without the fields about interfaces. zone returns the
// interface of a zone. The kernel answers before write returns, so reading never waits.
func (a *asker) ask(questions []Question, routes []Route, zone func(string) uint32) error {
	if len(questions) > MaxQuestions || len(routes) < len(questions) {
		return errors.New("too many questions about routes at once")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.fd < 0:
		return errors.New("the routes are no longer watched")
	case len(questions) == 0:
		return nil
	}
	first := a.seq
	a.request = a.request[:0]
	for i := range questions {
		a.request = appendQuestion(a.request, a.seq, &questions[i], zone)
		a.seq++
		routes[i] = Route{}
	}
	if _, err := unix.Write(a.fd, a.request); err != nil {
		return fmt.Errorf("ask for routes: %w", err)
	}
	for n := 0; n < len(questions); {
		seq, route, err := a.read()
		if err != nil {
			return err
		}
		if i := seq - first; i < uint32(len(questions)) { // otherwise it is left over from a call that failed
			routes[i] = route
			n++
		}
	}
	return nil
}

// read reads one answer.
func (a *asker) read() (seq uint32, route Route, err error) {
	n, err := unix.Read(a.fd, a.answer)
	if err != nil {
		return 0, Route{}, fmt.Errorf("ask for routes: %w", err)
	}
	b := a.answer[:n]
	if len(b) < unix.SizeofNlMsghdr {
		return 0, Route{}, errors.New("ask for routes: the answer is too short")
	}
	kind := binary.NativeEndian.Uint16(b[4:])
	seq = binary.NativeEndian.Uint32(b[8:])
	if kind != unix.RTM_NEWROUTE {
		// It is an error: there is no route, or one of type unreachable, prohibit or blackhole.
		return seq, Route{}, nil
	}
	return seq, parseRoute(b[unix.SizeofNlMsghdr:]), nil
}

// appendQuestion appends a request: header, struct rtmsg, attributes.
func appendQuestion(b []byte, seq uint32, q *Question, zone func(string) uint32) []byte {
	at := len(b)
	b = append(b, make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)...)
	remote, source := q.Remote.Addr().Unmap(), q.Source.Unmap().WithZone("")
	head, msg := b[at:], b[at+unix.SizeofNlMsghdr:]
	binary.NativeEndian.PutUint16(head[4:], unix.RTM_GETROUTE)
	binary.NativeEndian.PutUint16(head[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(head[8:], seq)
	msg[0], msg[1] = unix.AF_INET6, byte(remote.BitLen())
	if remote.Is4() {
		msg[0] = unix.AF_INET
	}
	if q.Entry {
		binary.NativeEndian.PutUint32(msg[8:], rtmLookupTable|rtmFIBMatch)
	}
	b = appendAddress(b, unix.RTA_DST, remote)
	if source.IsValid() && source.Is4() == remote.Is4() {
		b[at+unix.SizeofNlMsghdr+2] = byte(source.BitLen())
		b = appendAddress(b, unix.RTA_SRC, source)
	}
	oif := q.Interface
	if oif == 0 && remote.Zone() != "" {
		oif = zone(remote.Zone())
	}
	if oif != 0 {
		b = binary.NativeEndian.AppendUint32(appendAttribute(b, unix.RTA_OIF, 4), oif)
	}
	if q.Mark != 0 {
		b = binary.NativeEndian.AppendUint32(appendAttribute(b, unix.RTA_MARK, 4), q.Mark)
	}
	b = append(appendAttribute(b, unix.RTA_IP_PROTO, 1), unix.IPPROTO_UDP, 0, 0, 0)
	b = appendPort(b, unix.RTA_SPORT, q.Port)
	b = appendPort(b, unix.RTA_DPORT, q.Remote.Port())
	binary.NativeEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// appendAttribute appends a struct rtattr. The value, padded to four bytes, must
// follow.
func appendAttribute(b []byte, kind uint16, length int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+length))
	return binary.NativeEndian.AppendUint16(b, kind)
}

func appendAddress(b []byte, kind uint16, a netip.Addr) []byte {
	if a.Is4() {
		ip := a.As4()
		return append(appendAttribute(b, kind, len(ip)), ip[:]...)
	}
	ip := a.As16()
	return append(appendAttribute(b, kind, len(ip)), ip[:]...)
}

func appendPort(b []byte, kind uint16, port uint16) []byte {
	return append(binary.BigEndian.AppendUint16(appendAttribute(b, kind, 2), port), 0, 0)
}

// parseRoute reads a struct rtmsg and its attributes.
func parseRoute(b []byte) (r Route) {
	if len(b) < unix.SizeofRtMsg {
		return Route{}
	}
	r = Route{Found: true, Bits: int(b[1]), Table: uint32(b[4]), Local: b[7] == unix.RTN_LOCAL}
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		switch {
		case kind == unix.RTA_OIF && len(value) >= 4:
			r.Interface = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_TABLE && len(value) >= 4:
			r.Table = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(value)
		case kind == unix.RTA_VIA && len(value) >= 2: // a gateway of the other family
			r.Gateway, _ = netip.AddrFromSlice(value[2:])
		case kind == unix.RTA_METRICS:
			r.PathMTU = metricMTU(value)
		case kind == unix.RTA_CACHEINFO:
			r.Reported = expires(value)
		case kind == unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(value)
		}
	}
	return r
}

// metricMTU returns the MTU among the metrics of a route, or 0.
func metricMTU(metrics []byte) int {
	for kind, value := range attributes(metrics) {
		if kind == unix.RTAX_MTU && len(value) >= 4 {
			return int(min(binary.NativeEndian.Uint32(value), 1<<16-1))
		}
	}
	return 0
}

// expires reports whether a struct rta_cacheinfo says that the route does.
func expires(info []byte) bool {
	const at = 8 // of rta_expires
	return len(info) >= at+4 && binary.NativeEndian.Uint32(info[at:]) != 0
}

// attributes iterates over the attributes of a netlink message, up to the first one
// with an impossible length.
func attributes(b []byte) func(yield func(kind uint16, value []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&attributeType, b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min((length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
		}
	}
}

// attributeType masks the flags in the upper bits of a type.
const attributeType = 0x3fff
