package pcapng

import "encoding/binary"

// A Direction is the direction of a packet, as the computer that captures sees it.
type Direction uint32

// The directions, as in the flags of an Enhanced Packet.
const (
	Inbound  Direction = 1
	Outbound Direction = 2
)

// A Section is the beginning of a capture.
type Section struct {
	Application string // which program captures
	Comment     string
}

// An Interface is one of the sources of packets. Its packets begin with an IP header.
type Interface struct {
	Name        string
	Description string
}

// A Packet is one captured packet.
type Packet struct {
	Interface uint32 // in the order of AppendInterface, from 0
	Time      int64
	Direction Direction
	Drops     uint64 // packets of the interface that were lost since the one before
	Comment   string
	Data      []byte
}

// Statistics are the figures of an interface over the whole capture.
type Statistics struct {
	Interface  uint32
	Start, End int64
	Received   uint64 // packets, including those that were lost
	Dropped    uint64 // packets that were lost
}

// AppendSection appends a Section Header.
func AppendSection(b []byte, s *Section) []byte {
	b, at := begin(b, SectionHeader)
	b = binary.LittleEndian.AppendUint32(b, byteOrder)
	b = binary.LittleEndian.AppendUint16(b, 1) // version 1.0
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0)) // the length of the section is not known yet
	b = appendText(b, optComment, s.Comment)
	b = appendText(b, shbApplication, s.Application)
	return end(b, at)
}

// AppendInterface appends an Interface Description.
func AppendInterface(b []byte, i *Interface) []byte {
	b, at := begin(b, InterfaceDescription)
	b = binary.LittleEndian.AppendUint16(b, rawIP)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 0) // packets are not cut
	b = appendText(b, ifName, i.Name)
	b = appendText(b, ifDescription, i.Description)
	b = appendOption(b, ifResolution, []byte{9}) // 10^-9 s
	return end(b, at)
}

// AppendPacket appends an Enhanced Packet.
func AppendPacket(b []byte, p *Packet) []byte {
	b, at := begin(b, EnhancedPacket)
	b = binary.LittleEndian.AppendUint32(b, p.Interface)
	b = appendTime(b, p.Time)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Data)))
	b = pad(append(b, p.Data...))
	b = appendText(b, optComment, p.Comment)
	b = binary.LittleEndian.AppendUint16(b, epbFlags)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Direction))
	if p.Drops > 0 {
		b = appendNumber(b, epbDrops, p.Drops)
	}
	return end(b, at)
}

// AppendStatistics appends an Interface Statistics.
func AppendStatistics(b []byte, s *Statistics) []byte {
	b, at := begin(b, InterfaceStatistics)
	b = binary.LittleEndian.AppendUint32(b, s.Interface)
	b = appendTime(b, s.End)
	b = appendOption(b, isbStart, appendTime(nil, s.Start))
	b = appendOption(b, isbEnd, appendTime(nil, s.End))
	b = appendNumber(b, isbReceived, s.Received)
	b = appendNumber(b, isbDropped, s.Dropped)
	return end(b, at)
}

// begin appends the beginning of a block, and returns where it is.
func begin(b []byte, kind uint32) (out []byte, at int) {
	at = len(b)
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint32(b, 0), at
}

// end ends the options and the block that begins at at.
func end(b []byte, at int) []byte {
	b = binary.LittleEndian.AppendUint32(b, optEnd)
	n := uint32(len(b) - at + 4)
	binary.LittleEndian.PutUint32(b[at+4:], n)
	return binary.LittleEndian.AppendUint32(b, n)
}

// appendTime appends the two halves of a time, the upper one first.
func appendTime(b []byte, ns int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(ns)>>32))
	return binary.LittleEndian.AppendUint32(b, uint32(ns))
}

// appendText appends a text as an option, or nothing if it is empty.
func appendText(b []byte, code uint16, text string) []byte {
	if text == "" {
		return b
	}
	text = text[:min(len(text), MaxText)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return pad(append(b, text...))
}

func appendNumber(b []byte, code uint16, n uint64) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, 8)
	return binary.LittleEndian.AppendUint64(b, n)
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad appends zeros up to a multiple of four bytes. What comes before b is such a
// multiple.
func pad(b []byte) []byte {
	return append(b, "\x00\x00\x00"[:-len(b)&3]...)
}
