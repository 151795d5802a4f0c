package packet

import (
	"net/netip"
	"testing"
)

func echoes() []Echo {
	return []Echo{
		{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("10.2.0.2"), 7, 9, 1 << 63},
		{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), 65535, 256, 3},
	}
}

// An echo request and its reply are valid packets of their family.
func TestEchoIsValid(t *testing.T) {
	for _, e := range echoes() {
		for _, put := range []func([]byte) int{e.Put, e.PutReply} {
			frame := fill(MaxEchoFrame)
			p := frame[VirtioHeaderSize:put(frame)]
			if n, ok := Length(p); !ok || n != len(p) {
				t.Errorf("%v: the packet has %d bytes, and says %d", e, len(p), n)
			}
			protocol, at, _ := transport(p)
			s := uint64(0)
			if p[0]>>4 == 6 {
				s = add64(pseudoSum(p, protocol), word(uint16(len(p)-at)))
			} else if !valid(sum(p[:at], 0)) {
				t.Errorf("%v: the checksum of the header is wrong", e)
			}
			if !valid(sum(p[at:], s)) {
				t.Errorf("%v: the checksum of the message is wrong", e)
			}
		}
		frame := make([]byte, MaxEchoFrame)
		if p := frame[VirtioHeaderSize:e.Put(frame)]; Source(p) != e.From || Destination(p) != e.To || TTL(p) != 1 {
			t.Errorf("%v: from %v to %v with TTL %d", e, Source(p), Destination(p), TTL(p))
		}
	}
}

// exceededAbout returns "time exceeded" about p, from router.
func exceededAbout(p []byte, router netip.Addr) []byte {
	frame := make([]byte, MaxErrorFrame)
	e := frame[VirtioHeaderSize:PutError(frame, p, Unreachable, 0)]
	if router.Is4() {
		e[20], e[21] = exceeded4, 0
		copy(e[12:], router.AsSlice())
	} else {
		e[40], e[41] = exceeded6, 0
		copy(e[8:], router.AsSlice())
	}
	return e
}

// The reply and "time exceeded" answer a request, from whichever host they come; nothing
// else does.
func TestAnswerTo(t *testing.T) {
	for _, e := range echoes() {
		request, reply := make([]byte, MaxEchoFrame), make([]byte, MaxEchoFrame)
		request = request[VirtioHeaderSize:e.Put(request)]
		reply = reply[VirtioHeaderSize:e.PutReply(reply)]
		router := netip.MustParseAddr("10.2.0.9")
		if e.To.Is6() {
			router = netip.MustParseAddr("fd00::9")
		}
		exceeded := exceededAbout(request, router)
		for _, c := range []struct {
			p    []byte
			want bool
		}{{reply, true}, {exceeded, true}, {request, false}, {exceededAbout(reply, router), false}} {
			a, ok := AnswerTo(c.p, e.ID, e.Token)
			if ok != c.want || ok && (a.Sequence != e.Sequence || a.Exceeded != (&c.p[0] == &exceeded[0])) {
				t.Errorf("%v: %x is %+v, %v", e, c.p, a, ok)
			}
			if _, ok := AnswerTo(c.p, e.ID+1, e.Token); ok {
				t.Errorf("%x answers a request with another ID", c.p)
			}
			if _, ok := AnswerTo(c.p, e.ID, e.Token+1); ok {
				t.Errorf("%x answers a request with another token", c.p)
			}
			for n := range c.p {
				if IsIP(c.p[:n]) {
					if _, ok := AnswerTo(c.p[:n], e.ID, e.Token); ok && n < len(reply) {
						t.Errorf("%d bytes of %x are an answer", n, c.p)
					}
				}
			}
		}
	}
}

// Only addresses of hosts, of one family, can be asked.
func TestEchoAddresses(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"10.2.0.1", "10.2.0.2", true}, {"fd00::1", "fd00::2", true}, {"10.2.0.1", "fd00::2", false},
		{"10.2.0.1", "224.0.0.1", false}, {"fd00::1", "ff02::1", false}, {"0.0.0.0", "10.2.0.2", false}, {"::", "fd00::2", false},
		{"10.2.0.1", "255.255.255.255", false},
	} {
		if e := (Echo{From: netip.MustParseAddr(c.from), To: netip.MustParseAddr(c.to)}); e.Valid() != c.want {
			t.Errorf("from %s to %s: valid %v", c.from, c.to, e.Valid())
		}
	}
	if (&Echo{}).Valid() {
		t.Error("no addresses are valid")
	}
}

// A SYN is recognised in both families, with and without ACK; nothing else is.
func TestIsSYN(t *testing.T) {
	for _, c := range []struct {
		protocol, flags byte
		want            bool
	}{{protoTCP, tcpSYN, true}, {protoTCP, tcpSYN | tcpACK, true}, {protoTCP, tcpACK, false}, {protoUDP, tcpSYN, false}} {
		for _, n := range []int{ipv4Header, ipv6Header} {
			p := make([]byte, n+tcpHeader)
			p[n+13] = c.flags
			if n == ipv4Header {
				p[0], p[9] = 0x45, c.protocol
			} else {
				p[0], p[6] = 0x60, c.protocol
			}
			if IsSYN(p) != c.want {
				t.Errorf("%x: IsSYN is %v", p, !c.want)
			}
			if IsSYN(p[:len(p)-1]) {
				t.Errorf("%x: a SYN without its whole header", p[:len(p)-1])
			}
		}
	}
}

func FuzzAnswerTo(f *testing.F) {
	for _, e := range echoes() {
		frame := make([]byte, MaxEchoFrame)
		p := frame[VirtioHeaderSize:e.PutReply(frame)]
		f.Add(p)
		n := e.Put(frame)
		f.Add(exceededAbout(frame[VirtioHeaderSize:n], e.To))
	}
	f.Fuzz(func(_ *testing.T, p []byte) {
		if n, ok := Length(p); ok {
			AnswerTo(p[:n], 7, 1<<63)
			IsSYN(p[:n])
		}
	})
}
