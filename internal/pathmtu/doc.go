// Package pathmtu finds the MTU of the path to a peer where no ICMP error reports it.
//
// A probe is a small ICMP echo request to the inner host that the peer's traffic comes
// from. It is padded to the size in question, in a datagram with DF. The peer removes the
// padding, so the probe costs the networks behind it nothing. Its TTL is 1: if the host is
// the peer itself, it replies, and otherwise the peer answers "time exceeded". One answer
// therefore takes one round trip, and proves that a datagram of that size has arrived.
//
// A Search is the search on one path. It consists of rounds. The first one has a probe of
// the size that the tunnel needs (Limits.Top), and usually its answer ends the search. The
// later rounds have a probe of each usual MTU, the largest first, because a peer may limit
// how often it answers "time exceeded". Each round ends with a short probe. Only if
// something of a round was answered, the sizes that were not count as lost: otherwise the
// host does not answer at all, or the path is interrupted.
//
// Nothing here reads a clock or sends: time is an argument, probes are drained by Poll.
package pathmtu
