package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// PutRun writes, byte for byte, the same packets as Put and as splitByHand:
// with any options, odd sizes, flags and last segments, with and without
// vectors. Bytes of 0xff are frequent, so that sums carry.
func TestSegmentsRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(793, 1071))
	for _, f := range flows {
		for options := 0; options <= 40; options += 4 {
			if f.udp && options > 0 {
				break
			}
			f.options = options
			for range 12 {
				size := 1 + r.IntN(300)
				if r.IntN(2) == 0 {
					size = 1 + r.IntN(1500)
				}
				if f.id = uint16(r.Uint32()); !f.udp {
					f.flags = byte(r.Uint32())
				}
				payload := make([]byte, r.IntN(min(size*(1+r.IntN(90)), 60000)))
				randomize(r, payload)
				frame := f.super(r.Uint32(), payload, size)
				if !f.udp {
					t := frame[VirtioHeaderSize+f.at():]
					randomize(r, t[8:12])
					randomize(r, t[14:16])
					randomize(r, t[18:20])
				}
				list := split(t, frame)
				checkPackets(t, list, splitByHand(frame))
				checkRuns(t, frame, list)
			}
		}
	}
}

// splitByHand splits a valid super-packet without Segments: it copies, changes
// and sums each packet separately, word by word.
func splitByHand(frame []byte) (list [][]byte) {
	var v VirtioHeader
	v.Decode(frame)
	p, at := frame[VirtioHeaderSize:], int(v.ChecksumStart)
	udp := v.GSOType == GSOUDPL4
	end := at + udpHeader
	if !udp {
		end = at + int(p[at+12]>>4)*4
	}
	pseudo := bytes.Clone(p[at+int(v.ChecksumOffset):][:2]) // sum with the length of the whole
	parts := slices.Collect(slices.Chunk(p[end:], int(v.GSOSize)))
	if len(parts) == 0 {
		parts = [][]byte{nil}
	}
	for i, part := range parts {
		q := slices.Concat(p[:end], part)
		t := q[at:]
		if q[0]>>4 == 4 {
			binary.BigEndian.PutUint16(q[2:], uint16(len(q)))
			binary.BigEndian.PutUint16(q[4:], binary.BigEndian.Uint16(q[4:])+uint16(i))
			q[10], q[11] = 0, 0
			binary.BigEndian.PutUint16(q[10:], ^slowSum(q[:at]))
		} else {
			binary.BigEndian.PutUint16(q[4:], uint16(len(q)-ipv6Header))
		}
		if udp {
			binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
		} else {
			binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(i)*uint32(v.GSOSize))
			if i > 0 {
				t[13] &^= tcpCWR
			}
			if i+1 < len(parts) {
				t[13] &^= tcpFIN | tcpPSH
			}
		}
		field := t[v.ChecksumOffset:][:2]
		field[0], field[1] = 0, 0
		lengths := binary.BigEndian.AppendUint16(nil, ^uint16(len(p)-at))
		lengths = binary.BigEndian.AppendUint16(lengths, uint16(len(t)))
		c := ^slowSum(pseudo, lengths, t)
		if udp && c == 0 {
			c = 0xffff
		}
		binary.BigEndian.PutUint16(field, c)
		list = append(list, q)
	}
	return list
}

func checkPackets(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i, p := range got {
		if !bytes.Equal(p, want[i]) {
			t.Fatalf("packet %d of %d:\n%x\nwant\n%x", i, len(got), p[:min(len(p), 100)], want[i][:min(len(want[i]), 100)])
		}
	}
}

// checkRuns fails unless PutRun, for whole runs and for parts of them, writes
// the packets of the list and does not touch the bytes between them.
func checkRuns(t *testing.T, frame []byte, list [][]byte) {
	t.Helper()
	for limit := 1; ; limit = 2*limit + 1 {
		var s Segments
		s.Reset(frame)
		rest := list
		for n := s.Next(); n > 0; n = s.Next() {
			count, stride := min(s.Run(), limit), n+limit%40
			dst := bytes.Repeat([]byte{0xee}, (count-1)*stride+n)
			want := bytes.Clone(dst)
			if count > len(rest) {
				t.Fatalf("a run of %d packets, but only %d are left", count, len(rest))
			}
			for i, p := range rest[:count] {
				copy(want[i*stride:], p)
			}
			s.PutRun(dst, stride, count)
			if !bytes.Equal(dst, want) {
				t.Fatalf("a run of %d packets from packet %d on differs from the list", count, len(list)-len(rest))
			}
			rest = rest[count:]
		}
		if len(rest) != 0 {
			t.Fatalf("in runs of up to %d, %d packets are missing", limit, len(rest))
		}
		if limit >= len(list) {
			return
		}
	}
}

// randomize fills b with random bytes, of which a random share is 0xff.
func randomize(r *rand.Rand, b []byte) {
	full := r.IntN(5)
	for i := range b {
		if b[i] = byte(r.Uint32()); r.IntN(4) < full {
			b[i] = 0xff
		}
	}
}
