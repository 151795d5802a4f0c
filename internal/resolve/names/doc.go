// Package names decides which address each peer uses whose endpoint was given by
// name, and when the name is looked up. It is a machine without clock, goroutines
// and sockets: its user passes in the time and what happened, looks up what NextAsk
// returns, and applies what NextUse returns.
//
//	Set, Remove ──────────────┐
//	Silent, Unanswered,       │              ┌─ NextAsk: look up this name
//	Refused, Heard ───────────┼─▶ Machine ─▶ ├─ NextUse: this peer has another endpoint
//	NetworkChanged ───────────┤              ├─ NextReport: lookups fail, or do not any more
//	Pause, Resume ────────────┤              └─ NextTimeout: call NextAsk again then
//	Answered, Failed ─────────┘
//
// # When a name is looked up
//
//   - At once when the first peer has it.
//   - When the TTL of its answer has passed. A caching name server says what is left
//     of the TTL, so the next answer may hold for longer. The TTL 0 says that nothing
//     is known: some servers say it at the end of a TTL, others always. So the second
//     0 in a row counts as unknownTTL.
//   - When a peer is silent: after Silent, Unanswered and Refused, at most every
//     minGap; while that goes on and changes nothing, every maxGap.
//   - When the network has changed.
//   - After a failure, for ever, with pauses that double from firstRetry to maxRetry.
//
// While the Machine is paused, because the interface is down, a name is looked up once.
//
// Peers with the same name share it: it is looked up once. At most maxAsking lookups
// run at the same time, and at most one begins per askInterval, after a burst. Names
// of silent peers and of peers without an address come first.
//
// # Which address a peer uses
//
// The addresses of an answer alternate between IPv6 and IPv4. The address in use stays
// as long as the name has it, in whatever order; if the name no longer has it, the
// peer moves to the first of the new ones. After an unanswered handshake it moves to
// the next address. The last address at which the peer was heard from is always one of
// them, also when the name has others or does not resolve any more.
//
// A peer that was heard from at an address that is not the name's has moved (roaming).
// That is authenticated, and the name is not: it stays there until it is silent.
package names
