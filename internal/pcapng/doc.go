// Package pcapng writes captures of packets in the format pcapng
// (draft-ietf-opsawg-pcapng), which tshark, Wireshark and tcpdump read, and reads
// back their blocks.
//
// A capture is a Section Header, one Interface Description for each interface,
// Enhanced Packets, and one Interface Statistics for each interface at the end. The
// functions that write append a whole block to a slice. Numbers are little-endian;
// times are Unix time in nanoseconds.
package pcapng

// The types of blocks.
const (
	InterfaceDescription uint32 = 1
	InterfaceStatistics  uint32 = 5
	EnhancedPacket       uint32 = 6
	SectionHeader        uint32 = 0x0A0D0D0A
)

const (
	byteOrder = 0x1A2B3C4D

	// rawIP is LINKTYPE_RAW: a packet begins with its IPv4 or IPv6 header.
	rawIP = 101

	// MaxBlock is the length of the longest block that is read. The longest packet
	// and the longest comment fit into it.
	MaxBlock = 256 << 10

	// MaxText is the length, in bytes, to which texts are cut.
	MaxText = 1 << 10
)

// Codes of options. Their meaning depends on the block.
const (
	optEnd     = 0
	optComment = 1

	shbApplication = 4

	ifName        = 2
	ifDescription = 3
	ifResolution  = 9

	epbFlags = 2
	epbDrops = 4

	isbStart    = 2
	isbEnd      = 3
	isbReceived = 4
	isbDropped  = 5
)
