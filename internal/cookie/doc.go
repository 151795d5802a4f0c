// Package cookie decides which handshake messages are worth the computation of
// a handshake (§5.3), and gives our messages what other receivers require. It
// is pure: time and random bytes are arguments.
//
// A message must show that its sender knows the receiver's public key (mac1).
// Under load it must also show that its sender receives what is sent to its
// source address (mac2, by a cookie), and that source must not exceed a rate.
//
//	Gate      all checks of the receiver before its queue, in order
//	Checker   mac1, mac2, cookie replies
//	Limiter   the rate
//	Maker     mac1, mac2, cookie replies, for the sender
package cookie
