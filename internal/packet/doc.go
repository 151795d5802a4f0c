// Package packet knows what lies inside the tunnel: IP packets, and the
// super-packets in which a modern kernel hands over many of them at once.
// It is pure; nothing in it allocates once it runs.
//
// # The contract between an interface and its user
//
// A frame is what one read from an interface gives and one write takes: a
// VirtioHeader of 10 bytes (its numbers little-endian), then an
// IPv4 or IPv6 packet without any link-layer header. Every interface speaks
// it: sys/tun, its fake, netstack, the simulator.
//
// A frame read from an interface is one of these:
//
//	flags        gso_type         what it is
//	0            none             a packet as it is; checksums are complete
//	NEEDS_CSUM   none             a packet whose transport checksum field, at
//	                              csum_start+csum_offset, holds the sum of the
//	                              pseudo header only; the reader completes it
//	NEEDS_CSUM   TCPv4, TCPv6     TCP headers, then payload for many segments of
//	             (| ECN)          gso_size bytes each, the last maybe shorter
//	NEEDS_CSUM   UDP_L4           likewise UDP, every gso_size bytes a datagram
//
// The checksum field of a super-packet holds the sum of the pseudo header, too,
// with the length of the whole; each packet gets its own from that. The addresses
// of the IP header do not tell it: behind a routing header, or with a source
// route, the next hop stands there in place of the destination.
//
// hdr_len is a hint and is not believed: where the payload begins follows from
// csum_start and, for TCP, from the data offset. In a super-packet the lengths
// of the IP and UDP headers describe the whole, the IPv4 identification is the
// first segment's, CWR belongs to the first segment and FIN and PSH to the
// last. Reserved flags (DATA_VALID) are ignored. gso_type UDP (UFO, fragments)
// never appears, because nobody asks for it; it is dropped as malformed.
//
// A frame written to an interface is one of these:
//
//	0            none             a packet exactly as the peer sent it; nobody has
//	                              looked at its transport checksum
//	NEEDS_CSUM   TCPv4, TCPv6     segments joined by a Coalescer; hdr_len is exact,
//	             (| ECN)          every checksum was verified before
//	NEEDS_CSUM   UDP_L4           likewise UDP datagrams
//
// The two joined kinds are written only to an interface that takes them, see
// Offloads. A write comes in pieces: the first begins with the virtio header
// and has all headers of the packet and its first segment's payload, each other
// one is the payload of one more segment.
package packet
