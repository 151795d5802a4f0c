// Package cookie decides which handshake messages are worth the work of a
// handshake (§5.3), and lets ours be worth it to others. It is pure: time and
// random bytes are arguments.
//
// A message must show that its sender knows the receiver's public key (mac1).
// Under load it must also show that its sender gets what is sent to its source
// address (mac2, by a cookie), and that source must keep to a rate.
//
//	Gate      all of it, in order, for the receiver: what comes before its queue
//	Checker   mac1, mac2, cookie replies
//	Limiter   the rate
//	Maker     mac1, mac2, cookie replies, for the sender
package cookie
