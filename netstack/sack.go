package netstack

import (
	"encoding/binary"
	"iter"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

const (
	sackHeader = 2 // kind and length of the option
	sackBlock  = 8
)

// optionsOf returns the options of this kind in a segment. A sender has no reason to
// repeat one, but the stack reads them all, and the last one counts.
func optionsOf(segment header.TCP, kind byte) iter.Seq[[]byte] {
	return func(yield func(option []byte) bool) {
		options := segment.Options()
		for len(options) > 0 {
			switch options[0] {
			case header.TCPOptionEOL:
				return
			case header.TCPOptionNOP:
				options = options[1:]
				continue
			}
			if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
				return
			}
			option := options[:options[1]]
			options = options[len(option):]
			if option[0] == kind && !yield(option) {
				return
			}
		}
	}
}

// highest returns the end of the highest block above ack that a segment reports to be
// received. ok is false if there is none: it may report a duplicate only.
func highest(segment header.TCP, ack seqnum.Value) (end seqnum.Value, ok bool) {
	for option := range optionsOf(segment, header.TCPOptionSACK) {
		for len(option) >= sackHeader+sackBlock {
			block := option[sackHeader : sackHeader+sackBlock]
			option = option[sackBlock:]
			e := seqnum.Value(binary.BigEndian.Uint32(block[4:]))
			if ack.LessThan(e) && (!ok || end.LessThan(e)) {
				end, ok = e, true
			}
		}
	}
	return end, ok
}

// eraseSACK overwrites the SACK options of a segment with padding, and corrects the
// checksum.
func eraseSACK(segment header.TCP) {
	for option := range optionsOf(segment, header.TCPOptionSACK) {
		edit(segment, option, func(option []byte) {
			for i := range option {
				option[i] = header.TCPOptionNOP
			}
		})
	}
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
