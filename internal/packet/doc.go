// Package packet parses, splits and joins the packets inside the tunnel: IP
// packets, and the super-packets in which the kernel passes many of them at
// once. It is pure, and its per-packet functions do not allocate.
//
// # The contract between an interface and its user
//
// A frame is what one read from an interface returns and what one write
// takes: a VirtioHeader of 10 bytes (little-endian numbers), then an IPv4 or
// IPv6 packet without a link-layer header. Every interface uses this format:
// sys/tun, its fake, netstack, the simulator.
//
// A frame read from an interface is one of these:
//
//	flags        gso_type         what it is
//	0            none             a single packet; its checksums are complete
//	NEEDS_CSUM   none             a packet whose transport checksum field, at
//	                              csum_start+csum_offset, holds the sum of the
//	                              pseudo header only; the reader completes it
//	NEEDS_CSUM   TCPv4, TCPv6     TCP headers, then the payload of many segments of
//	             (| ECN)          gso_size bytes each, the last possibly shorter
//	NEEDS_CSUM   UDP_L4           the same for UDP; each segment is a datagram
//
// The checksum field of a super-packet also holds the sum of the pseudo header,
// with the length of the whole. The checksum of each packet is derived from it,
// not from the addresses in the IP header: with a routing header or a source
// route, the next hop stands there instead of the final destination.
//
// hdr_len is a hint and is not used: where the payload begins follows from
// csum_start and, for TCP, from the data offset. In a super-packet, the lengths
// in the IP and UDP headers describe the whole, the IPv4 identification is that
// of the first segment, CWR belongs to the first segment, and FIN and PSH
// belong to the last. Reserved flags (DATA_VALID) are ignored. gso_type UDP
// (UFO, fragments) is never requested; a frame that has it is dropped as
// malformed.
//
// A frame written to an interface is one of these:
//
//	0            none             a packet exactly as the peer sent it; its
//	                              transport checksum is not verified
//	NEEDS_CSUM   TCPv4, TCPv6     segments joined by a Coalescer; hdr_len is exact,
//	             (| ECN)          and every checksum was verified
//	NEEDS_CSUM   UDP_L4           the same for UDP datagrams
//
// The two joined kinds are written only to an interface that accepts them; see
// Offloads. A write consists of pieces: the first has the virtio header, all
// headers of the packet and the payload of its first segment; each of the
// others is the payload of one more segment.
package packet
