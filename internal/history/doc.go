// Package history tells from the log of wgd watch --log which peers were connected
// when.
//
// A peer is connected from the event that it has a session (handshake-done) until the
// first of these:
//
//   - RejectAfterTime (180 s) after the keys of its last session were made: no packet
//     can be sent or received on it any more (A36);
//   - it went quiet (peer-quiet), unless it is heard (peer-back) or has a new session
//     within BackWithin, and before its session ends; it is connected again when it is
//     heard on the same session;
//   - the daemon says that there is no session any more (session-ended), for example
//     because the peer was removed;
//   - the interface went down, or its daemon ended.
//
// What the log does not say is unknown: it is so where numbers of events are missing,
// before the log begins, between two runs of a daemon if the end of the first was not
// seen, and after the log ends unless a wgd watch still writes it. After such a time, a
// peer may have a session of which nothing was seen, so whether it is connected remains
// unknown until an event tells, but for RejectAfterTime at most.
//
// The log is read twice. A Survey finds out which runs there are and how their clocks
// were set; a Replay then makes the spans of each peer. Neither keeps the log: their
// memory grows with the number of peers, of runs, and of gaps.
//
// Events have two clocks. Inside of one run, all times are those of the clock that is
// never set, plus the difference to the wall clock at the last event of the run, or of
// the last of several runs if the computer was not started between them. So a duration is
// right although the wall clock was set meanwhile, and times before that are shown as if
// the clock had been right already.
package history
