package udp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// message returns one control message whose length field is claimed.
func message(level, kind uint32, data []byte, claimed int) []byte {
	b, space := appendMessage(nil, level, kind, len(data))
	copy(space, data)
	if wordSize == 8 {
		binary.NativeEndian.PutUint64(b, uint64(claimed))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(claimed))
	}
	return b
}

func int32Bytes(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

func whole(level, kind uint32, data []byte) []byte {
	return message(level, kind, data, unix.CmsgLen(len(data)))
}

func TestControlMessages(t *testing.T) { // B57
	info4 := append(int32Bytes(3), 192, 0, 2, 1, 192, 0, 2, 255)
	v6 := netip.MustParseAddr("2001:db8::1").As16()
	info6 := append(v6[:], int32Bytes(5)...)
	pkt4 := whole(unix.SOL_IP, unix.IP_PKTINFO, info4)
	pkt6 := whole(unix.SOL_IPV6, unix.IPV6_PKTINFO, info6)
	tos := whole(unix.SOL_IP, unix.IP_TOS, []byte{0x8a})
	class := whole(unix.SOL_IPV6, unix.IPV6_TCLASS, int32Bytes(0x8b))
	gro := whole(unix.SOL_UDP, unix.UDP_GRO, int32Bytes(1452))
	odd := whole(99, 99, []byte{1, 2, 3})
	want4 := control{source: netip.MustParseAddr("192.0.2.1"), index: 3, tos: 0x8a, stride: 1452}
	want6 := control{source: netip.MustParseAddr("2001:db8::1"), index: 5, tos: 0x8b, stride: 1452}
	for name, test := range map[string]struct {
		in   [][]byte
		want control
	}{
		"nothing":             {nil, control{}},
		"three, IPv4":         {[][]byte{pkt4, tos, gro}, want4},
		"three, IPv6":         {[][]byte{gro, class, pkt6}, want6},
		"strangers between":   {[][]byte{odd, pkt4, odd, tos, odd, gro}, want4},
		"cut behind two":      {[][]byte{tos, pkt4, gro[:unix.SizeofCmsghdr-1]}, control{source: want4.source, index: 3, tos: 0x8a}},
		"cut in its data":     {[][]byte{tos, pkt4[:unix.CmsgLen(0)+4]}, control{tos: 0x8a}},
		"short address":       {[][]byte{whole(unix.SOL_IP, unix.IP_PKTINFO, info4[:11]), tos}, control{tos: 0x8a}},
		"short IPv6 address":  {[][]byte{whole(unix.SOL_IPV6, unix.IPV6_PKTINFO, info6[:19]), gro}, control{stride: 1452}},
		"empty TOS":           {[][]byte{whole(unix.SOL_IP, unix.IP_TOS, nil), gro}, control{stride: 1452}},
		"length zero":         {[][]byte{message(99, 99, nil, 0), tos}, control{}},
		"length too large":    {[][]byte{tos, message(99, 99, nil, 1<<30)}, control{tos: 0x8a}},
		"negative stride":     {[][]byte{whole(unix.SOL_UDP, unix.UDP_GRO, int32Bytes(-1))}, control{}},
		"to a multicast":      {[][]byte{whole(unix.SOL_IP, unix.IP_PKTINFO, append(int32Bytes(3), 224, 0, 0, 1, 0, 0, 0, 0))}, control{}},
		"wrong level or type": {[][]byte{whole(unix.SOL_UDP, unix.IP_PKTINFO, info4), whole(unix.SOL_IP, unix.UDP_GRO, int32Bytes(9))}, control{}},
	} {
		var oob []byte
		for _, m := range test.in {
			oob = append(oob, m...)
		}
		if got := parseControl(oob); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// The last message is not padded, so that the kernel needs no memory for an IPv6 source
// (docs/measurements). What is written is read again, whatever comes last.
func TestControlEndsWithoutPadding(t *testing.T) {
	source4, source6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct {
		c    control
		data []int // of each message
	}{
		{control{}, nil},
		{control{source: source4, index: 3}, []int{12}},
		{control{source: source6, index: 3}, []int{20}},
		{control{source: source6, tos: 1}, []int{20, 4}},
		{control{source: source4, ttl: 9}, []int{12, 4}},
		{control{tos: 1, ttl: 9, stride: 1452}, []int{4, 4, 2}},
		{control{source: source6, index: 3, tos: 1, ttl: 9, stride: 1452}, []int{20, 4, 4, 2}},
	} {
		v4 := test.c.source.Is4()
		b, want := appendControl(nil, v4, test.c), 0
		for i, n := range test.data {
			if want += unix.CmsgLen(n); i < len(test.data)-1 {
				want = aligned(want)
			}
		}
		got := parseControl(b)
		if len(b) != want || got.source != test.c.source || got.index != test.c.index || got.tos != test.c.tos {
			t.Errorf("%+v: %d bytes, want %d; read again: %+v", test.c, len(b), want, got)
		}
	}
}

func TestControlFitsItsBuffer(t *testing.T) {
	for _, c := range []control{
		{source: netip.MustParseAddr("192.0.2.1"), index: 3, tos: 0xff, ttl: 255, stride: 65535},
		{source: netip.MustParseAddr("2001:db8::1"), index: 3, tos: 0xff, ttl: 255, stride: 65535},
	} {
		if b := appendControl(make([]byte, 0, controlSize), c.source.Is4(), c); len(b) > controlSize {
			t.Fatalf("the control messages have %d bytes, want at most %d", len(b), controlSize)
		}
	}
}

func FuzzControl(f *testing.F) { // B57
	f.Add([]byte{})
	f.Add(whole(unix.SOL_IP, unix.IP_TOS, []byte{1}))
	f.Add(appendControl(nil, true, control{source: netip.MustParseAddr("192.0.2.1"), index: 1, tos: 2, stride: 3}))
	f.Add(appendControl(nil, false, control{source: netip.MustParseAddr("2001:db8::1"), index: 1, tos: 2, stride: 3}))
	f.Add(message(unix.SOL_IP, unix.IP_PKTINFO, []byte{1}, 100)[:unix.CmsgLen(1)])
	f.Fuzz(func(t *testing.T, oob []byte) {
		if c := parseControl(oob); c.stride < 0 || c.source.IsMulticast() || (!c.source.IsValid() && c.index != 0) {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzSockaddr(f *testing.F) { // B19
	f.Add(make([]byte, 28), uint32(16))
	f.Fuzz(func(t *testing.T, raw []byte, length uint32) {
		var s, back sockaddr
		copy(s[:], raw)
		from, scope := s.get(length)
		if !from.IsValid() {
			return
		}
		n := back.set(from, scope)
		if again, same := back.get(n); again != from || same != scope && !from.Addr().Is4() {
			t.Fatal(from, scope, again, same)
		}
	})
}

func TestSockaddrLeavesNoRest(t *testing.T) { // the short buffer after an IPv4 send
	var s sockaddr
	six := netip.MustParseAddrPort("[2001:db8::1]:7")
	four := netip.MustParseAddrPort("192.0.2.1:9")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:9")
	for range 2 {
		for _, to := range []netip.AddrPort{six, four, mapped} {
			want := to
			if to == mapped {
				want = four // A54
			}
			if got, _ := s.get(s.set(to, 3)); got != want {
				t.Fatal(got, want)
			}
		}
	}
}
