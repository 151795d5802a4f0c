package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// A route is what stands between the IP header and the transport header of a
// packet that does not go directly to its destination.
type route struct {
	name  string
	v6    bool
	bytes []byte
	types []byte // IPv6: the extension headers, in order
}

var routes = func() (list []route) {
	last := []byte{10, 9, 9, 9}
	for _, kind := range []struct {
		name string
		code byte
	}{{"loose source route", 131}, {"strict source route", 137}} {
		list = append(list, route{name: kind.name, bytes: slices.Concat([]byte{kind.code, 7, 4}, last, []byte{0})})
	}
	last6 := slices.Repeat([]byte{0xfd, 9}, 8)
	for _, kind := range []byte{0, 2, 3, 4, 253} {
		routing := slices.Concat([]byte{0, 2, kind, 1, 0, 0, 0, 0}, last6)
		list = append(list, route{fmt.Sprintf("routing header of type %d", kind), true, routing, []byte{protoRouting}})
	}
	options := []byte{0, 0, 1, 4, 0, 0, 0, 0}
	list = append(list, route{"routing header among others", true,
		slices.Concat(options, options, list[len(list)-1].bytes, options), []byte{protoHopByHop, protoDestination, protoRouting, protoDestination}})
	return list
}()

func (d route) String() string { return d.name }

// insertInto returns a copy of frame with d inserted and the next hop as its
// destination. The transport checksum stays that of the final destination.
func (d route) insertInto(frame []byte) []byte {
	var v VirtioHeader
	v.Decode(frame)
	at := int(v.ChecksumStart)
	p := slices.Insert(bytes.Clone(frame[VirtioHeaderSize:]), at, d.bytes...)
	if d.v6 {
		next := &p[6]
		transport := *next
		for i, offset := 0, at; i < len(d.types); i++ {
			*next = d.types[i]
			next = &p[offset]
			offset += 8 * (1 + int(p[offset+1]))
		}
		*next = transport
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ipv6Header))
		copy(p[24:40], bytes.Repeat([]byte{0xfd, 7}, 8))
	} else {
		p[0] += byte(len(d.bytes) / 4)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[16:20], []byte{10, 7, 7, 7})
		putIPv4Checksum(p[:at+len(d.bytes)])
	}
	v.ChecksumStart += uint16(len(d.bytes))
	return append(newFrame(&v), p...)
}

// The checksum of TCP and UDP covers the final destination. With a routing
// header of any type or a source route, that is not in the IP header; the
// kernel has put its sum into the checksum field.
func TestSegmentsSourceRouted(t *testing.T) {
	for _, d := range routes {
		for _, f := range flows {
			if f.v6 != d.v6 {
				continue
			}
			for _, c := range []struct{ whole, size int }{{5, 1}, {1000, 1300}, {9000, 1300}, {9001, 77}, {60000, 1372}} {
				direct := f.super(1, fill(c.whole), c.size)
				frame := d.insertInto(direct)
				got, want := split(t, frame), split(t, direct)
				if len(got) != len(want) {
					t.Fatalf("%v, %v %+v: %d packets, want %d", d, f, c, len(got), len(want))
				}
				for i, p := range got {
					if n, ok := Length(p); !ok || n != len(p) || !d.v6 && slowSum(p[:f.at()+len(d.bytes)]) != 0xffff {
						t.Fatalf("%v, %v %+v, packet %d: wrong IP header", d, f, c, i)
					}
					if at := f.at(); !bytes.Equal(p[at:at+len(d.bytes)], frame[VirtioHeaderSize+at:][:len(d.bytes)]) {
						t.Fatalf("%v, %v %+v, packet %d: the route was changed", d, f, c, i)
					}
					// TestSegments proves that the packets of direct are right.
					if at := f.at(); !bytes.Equal(p[at+len(d.bytes):], want[i][at:]) {
						t.Fatalf("%v, %v %+v, packet %d: transport header %x, want %x", d, f, c, i,
							p[at+len(d.bytes):f.headers()+len(d.bytes)], want[i][at:f.headers()])
					}
				}
				checkRuns(t, frame, got)
			}
		}
	}
}

// Packets received with a route are not joined: each is written as it arrived.
func TestSourceRoutedNotJoined(t *testing.T) {
	for _, d := range routes {
		for _, f := range flows {
			if f.v6 != d.v6 {
				continue
			}
			packets := split(t, d.insertInto(f.super(1, fill(5000), 1000)))
			c := coalescer()
			frames := join(c, packets)
			if len(frames) != len(packets) {
				t.Fatalf("%v, %v: %d frames for %d packets", d, f, len(frames), len(packets))
			}
			for i, frame := range frames {
				if !bytes.Equal(frame, append(newFrame(&VirtioHeader{}), packets[i]...)) {
					t.Errorf("%v, %v: packet %d was changed", d, f, i)
				}
			}
		}
	}
}
