package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// syn returns a SYN that offers a maximum segment size after a number of no-operation
// options, and the offset of the value.
func syn(f flow, mss uint16, before int) (p []byte, at int) {
	f.flags, f.options = tcpSYN, (before+mssLength+3)&^3
	p = f.packet(7, nil)
	at = f.at() + tcpHeader + before + 2
	p[at-2], p[at-1] = optionMSS, mssLength
	binary.BigEndian.PutUint16(p[at:], mss)
	fixChecksums(p)
	return p, at
}

// A larger MSS than the MTU carries is reduced to that, a smaller one stays, wherever the
// option is, and the checksum stays right.
func TestClampMSS(t *testing.T) {
	for _, c := range []struct {
		v6             bool
		mss, mtu, want uint16
	}{
		{false, 1460, 1420, 1380}, {true, 1440, 1420, 1360}, {false, 1380, 1420, 1380}, {false, 536, 1420, 536},
		{false, 65495, 1420, 1380}, {false, 0x0564, 0x0564 + 39, 0x0563}, {true, 1440, 1220, 1160}, {false, 1460, 68, 48},
	} {
		for before := range 8 {
			for _, flags := range []byte{tcpSYN, tcpSYN | tcpACK} {
				p, at := syn(flow{v6: c.v6}, c.mss, before)
				p[flow{v6: c.v6}.at()+13] = flags
				fixChecksums(p)
				want := bytes.Clone(p)
				binary.BigEndian.PutUint16(want[at:], c.want)
				fixChecksums(want)
				if changed := ClampMSS(p, int(c.mtu), false); changed != (c.want != c.mss) || !bytes.Equal(p, want) {
					t.Errorf("%+v after %d bytes of options: changed is %v\n% x, want\n% x", c, before, changed, p, want)
				}
			}
		}
	}
}

// A checksum that was wrong stays wrong, and one that is not complete yet stays the sum of
// the pseudo header.
func TestClampMSSKeepsChecksums(t *testing.T) {
	for _, before := range []int{0, 1} {
		p, _ := syn(flow{}, 1460, before)
		p[25] ^= 0x10
		if !ClampMSS(p, 1420, false) {
			t.Fatal("not changed")
		}
		damaged := bytes.Clone(p)
		if fixChecksums(p); bytes.Equal(p, damaged) {
			t.Error("the damage is not visible any more")
		}
	}
	p, at := syn(flow{}, 1460, 0)
	putSum(p[ipv4Header+tcpChecksum:], 0x1234)
	frame := append(newFrame(&VirtioHeader{Flags: NeedsChecksum, ChecksumStart: ipv4Header, ChecksumOffset: tcpChecksum}), p...)
	want := bytes.Clone(frame)
	binary.BigEndian.PutUint16(want[VirtioHeaderSize+at:], 1380)
	if !ClampFrameMSS(frame, 1420) || !bytes.Equal(frame, want) {
		t.Errorf("% x, want % x", frame, want)
	}
}

// What is no SYN with an MSS is not changed.
func TestClampMSSOfOthers(t *testing.T) {
	sample := func(change func(p []byte, at int)) []byte {
		p, at := syn(flow{}, 1460, 0)
		change(p, at)
		return p
	}
	none := flow{flags: tcpSYN, options: 8}
	for name, p := range map[string][]byte{
		"UDP":                  flow{udp: true}.packet(0, make([]byte, 40)),
		"without SYN":          sample(func(p []byte, _ int) { p[ipv4Header+13] = tcpACK }),
		"without options":      flow{flags: tcpSYN}.packet(0, nil),
		"other options":        none.packet(0, nil),
		"a later fragment":     sample(func(p []byte, _ int) { p[7] = 1 }),
		"after the last one":   sample(func(p []byte, at int) { p[at-2] = optionEnd }),
		"another length":       sample(func(p []byte, at int) { p[at-1] = 3 }),
		"no length":            sample(func(p []byte, at int) { p[at-1] = 0 }),
		"beyond the header":    sample(func(p []byte, _ int) { p[ipv4Header+12] = 0x50 }),
		"beyond the packet":    sample(func([]byte, int) {})[:ipv4Header+tcpHeader+3],
		"without all of TCP":   sample(func([]byte, int) {})[:ipv4Header+tcpHeader-1],
		"an option too long":   sample(func(p []byte, at int) { p[at-2], p[at-1] = 8, 40 }),
		"a single last byte":   sample(func(p []byte, at int) { copy(p[at-2:], []byte{1, 1, 1, 8}) }),
		"IPv6, no next header": flow{v6: true, flags: tcpSYN}.packet(0, nil)[:ipv6Header],
	} {
		before := bytes.Clone(p)
		if ClampMSS(p, 500, false) || !bytes.Equal(p, before) {
			t.Errorf("%s: changed", name)
		}
	}
	super := flow{flags: tcpSYN, options: 4}.super(0, make([]byte, 3000), 1000)
	copy(super[VirtioHeaderSize+ipv4Header+tcpHeader:], []byte{optionMSS, mssLength, 0x05, 0xb4})
	if ClampFrameMSS(super, 500) {
		t.Error("a super-packet was changed")
	}
}

// Whatever the bytes, at most the MSS and the checksum of a packet change, the MSS only
// decreases, and a right checksum stays right.
func FuzzClampMSS(f *testing.F) {
	for before := range 3 {
		for _, v6 := range []bool{false, true} {
			p, _ := syn(flow{v6: v6}, 1460, before)
			f.Add(p, 1420)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, mtu int) {
		if !IsIP(p) {
			return
		}
		before := bytes.Clone(p)
		changed := ClampMSS(p, mtu, false)
		if changed == bytes.Equal(p, before) {
			t.Fatalf("it says %v about a change", changed)
		}
		if !changed {
			return
		}
		_, at, _ := transport(p)
		value := at + findMSS(p[at:])
		if binary.BigEndian.Uint16(p[value:]) >= binary.BigEndian.Uint16(before[value:]) {
			t.Fatal("the MSS did not decrease")
		}
		// The sum over the TCP header and what follows changes neither.
		if got, want := fold(sum(p[at:], 0)), fold(sum(before[at:], 0)); got%0xffff != want%0xffff {
			t.Fatalf("sum %x, was %x", got, want)
		}
		copy(p[value:], before[value:value+2])
		copy(p[at+tcpChecksum:], before[at+tcpChecksum:at+tcpChecksum+2])
		if !bytes.Equal(p, before) {
			t.Fatal("more than the MSS and the checksum changed")
		}
	})
}
