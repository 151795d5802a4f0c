package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Continue takes all packets of a super-packet except the first, the second and
// a short last one. Padding after a packet does not matter.
func TestContinue(t *testing.T) {
	for _, f := range flows {
		if f.free {
			continue // without DF, the identification counts
		}
		c := coalescer()
		var taken []int
		for i, p := range split(t, f.super(0xffffff00, fill(9*900+500), 900)) {
			frame := append(make([]byte, VirtioHeaderSize), p...)
			if c.Continue(append(frame[VirtioHeaderSize:], fill(i)...)) {
				taken = append(taken, i)
			} else if out := c.Add(frame); out != nil {
				t.Errorf("%v: packet %d ended the super-packet", f, i)
			}
		}
		if len(taken) != 7 || taken[0] != 2 || taken[6] != 8 {
			t.Errorf("%v: Continue took packets %v, want 2 to 8", f, taken)
		}
	}
}

// Any single bit of the headers of one packet among others is inverted, with
// and without the checksums corrected.
func TestContinueAnyBit(t *testing.T) {
	for _, f := range flows {
		f.options = min(f.options, 8) // so that the last 8-byte word is incomplete
		for bit := range 8 * f.headers() {
			for _, valid := range []bool{false, true} {
				packets := split(t, f.super(1, fill(5*40), 40))
				packets[3][bit/8] ^= 1 << (bit % 8)
				fixChecksumsIf(valid, packets[3])
				checkJoin(t, packets)
			}
		}
	}
}

// A datagram whose checksum field is zero has no checksum and keeps none, even
// if its sum is valid with that zero.
func TestContinueWithoutChecksum(t *testing.T) {
	for _, f := range []flow{{udp: true}, {udp: true, v6: true}} {
		packets := split(t, f.super(1, fill(5*40), 40))
		transport := packets[3][f.at():]
		clear(transport[udpChecksum:][:3*2])
		s := ^slowSum(slowPseudo(packets[3], protoUDP, len(transport)), transport)
		binary.BigEndian.PutUint16(transport[udpHeader:], s)
		if bad := fault(packets[3]); bad != "" {
			t.Fatal(bad)
		}
		checkJoin(t, packets)
	}
}

// FuzzJoin (B58): packets that were damaged in any way, then joined and split,
// are the same, in the same order, and damaged ones stay damaged. Using
// Continue makes no difference.
func FuzzJoin(f *testing.F) {
	f.Add(byte(0), uint16(100), uint16(300), []byte{})
	f.Add(byte(1), uint16(1380), uint16(5000), []byte{1, 9, 0, 1, 2, 40, 3, 0})
	f.Add(byte(3), uint16(20), uint16(100), []byte{0, 25, 1, 1})
	f.Add(byte(4), uint16(20), uint16(100), []byte{0, 45, 1, 0, 1, 1, 2, 1})
	f.Fuzz(func(t *testing.T, which byte, size, whole uint16, edits []byte) {
		fl := flows[int(which)%len(flows)]
		if size == 0 || int(whole) > 8000 || int(whole)/int(size) > 150 {
			return
		}
		packets := split(t, fl.super(uint32(size), fill(int(whole)), int(size)))
		// Each edit: packet, offset, bits to invert, whether to correct the
		// checksums.
		for ; len(edits) >= 4; edits = edits[4:] {
			p := packets[int(edits[0])%len(packets)]
			p[int(edits[1])%len(p)] ^= edits[2]
			fixChecksumsIf(edits[3]&1 != 0, p)
		}
		checkJoin(t, packets)
	})
}

// The same with sequences of packets of several flows, some of them duplicated,
// lost, reordered, or changed in a place that Continue compares.
func TestJoinAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(58, 793))
	for range 3000 {
		var packets [][]byte
		for range 1 + r.IntN(3) {
			fl := flows[r.IntN(len(flows))]
			size := []int{1, 8, 33, 44, 100, 1380}[r.IntN(6)]
			packets = append(packets, split(t, fl.super(r.Uint32(), fill(1+r.IntN(12*size)), size))...)
		}
		for range r.IntN(4) {
			i, j := r.IntN(len(packets)), r.IntN(len(packets))
			switch p := packets[i]; r.IntN(5) {
			case 0: // also in the payload
				p[r.IntN(len(p))] ^= 1 << r.IntN(8)
				fixChecksumsIf(r.IntN(2) == 0, p)
			case 1:
				p[r.IntN(min(len(p), 80))] = byte(r.Uint32())
				fixChecksumsIf(r.IntN(4) > 0, p)
			case 2:
				packets[i], packets[j] = packets[j], packets[i]
			case 3:
				packets[i] = bytes.Clone(packets[j])
			case 4: // the two checksums are wrong by 1 and -1
				at, _, field := layout(p)
				if at == ipv4Header && at+field+2 <= len(p) {
					p[11]++
					p[at+field+1]--
				}
			}
		}
		checkJoin(t, packets)
	}
}

func fixChecksumsIf(do bool, p []byte) {
	if at, protocol, field := layout(p); do && (protocol == protoTCP || protocol == protoUDP) && at+field+2 <= len(p) {
		fixChecksums(p)
	}
}

// checkJoin joins the packets that a Decapsulator would not drop, with and
// without Continue, and compares the result with them.
func checkJoin(t *testing.T, packets [][]byte) {
	t.Helper()
	var kept, before [][]byte
	for _, p := range packets {
		if n, ok := Length(p); ok {
			kept = append(kept, p[:n])
			before = append(before, bytes.Clone(p[:n]))
		}
	}
	frames := join(coalescer(), kept)
	if slow := joinByAdd(coalescer(), before); !equalAll(frames, slow) {
		t.Fatalf("%d frames with Continue differ from %d frames without", len(frames), len(slow))
	}
	var got [][]byte
	for _, frame := range frames {
		got = append(got, split(t, frame)...)
	}
	if !equalButID(got, before) {
		t.Fatalf("%d packets were joined and split into %d, or into others", len(before), len(got))
	}
}
