// Package unknown keeps what arrives for peers that an interface does not have, and
// reports it to programs that may add the peer: the wants of the control socket.
//
// Without a subscriber, it keeps nothing, and its methods cost one atomic load. All of
// them are called only where a packet or message would be dropped anyway. Everything is
// bounded, because strangers cause it:
//
//   - A subject is reported once in a minute, whatever arrives, unless a peer was added
//     for it meanwhile. A subject is a public key, the endpoint from which data for no
//     session came, or an inner address that no peer has.
//   - All subjects of a kind together are reported 1,000 times in a second at most, after
//     a burst of 4,096. So the subjects of a minute are fewer than 65,536.
//   - What is kept is dropped after 5 seconds, when its sender tries again, and when
//     something newer needs its place.
//   - No subscriber is waited for. What one has not read is bounded, too.
//
// Nothing that is kept is secret: it is kept as it arrived.
package unknown
