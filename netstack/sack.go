package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

const (
	sackHeader = 2 // kind and length of the option
	sackBlock  = 8
)

// optionOf returns the option of this kind of a segment, or nil.
func optionOf(segment header.TCP, kind byte) []byte {
	options := segment.Options()
	for len(options) > 0 {
		switch options[0] {
		case header.TCPOptionEOL:
			return nil
		case header.TCPOptionNOP:
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return nil
		}
		n := int(options[1])
		if options[0] == kind {
			return options[:n]
		}
		options = options[n:]
	}
	return nil
}

// sackOption returns the SACK option of a segment, or nil.
func sackOption(segment header.TCP) []byte { return optionOf(segment, header.TCPOptionSACK) }

// highest returns the end of the highest block in a SACK option that is above
// ack. ok is false if there is none: the option may report a duplicate only.
func highest(option []byte, ack seqnum.Value) (end seqnum.Value, ok bool) {
	for len(option) >= sackHeader+sackBlock {
		block := option[sackHeader : sackHeader+sackBlock]
		option = option[sackBlock:]
		e := seqnum.Value(binary.BigEndian.Uint32(block[4:]))
		if ack.LessThan(e) && (!ok || end.LessThan(e)) {
			end, ok = e, true
		}
	}
	return end, ok
}

// erase overwrites an option with padding, and corrects the checksum.
func erase(segment header.TCP, option []byte) {
	edit(segment, option, func(option []byte) {
		for i := range option {
			option[i] = header.TCPOptionNOP
		}
	})
}

// edit changes a part of a segment, and corrects the checksum.
func edit(segment header.TCP, part []byte, change func(part []byte)) {
	odd := (cap(segment)-cap(part))%2 == 1 // the part begins in the middle of a word
	before := sumAt(part, odd)
	change(part)
	after := sumAt(part, odd)
	// RFC 1624: HC' = ~(~HC + ~m + m')
	segment.SetChecksum(^checksum.Combine(checksum.Combine(^segment.Checksum(), ^before), after))
}

// sumAt returns the sum of b, which begins at an odd position or not.
func sumAt(b []byte, odd bool) uint16 {
	s := checksum.Checksum(b, 0)
	if odd {
		s = s<<8 | s>>8
	}
	return s
}
