// Package fleet has the simulation of a fleet: gateways of one identity, their clients and
// their store, through failures, in virtual time. It has tests only.
//
// What runs is what is shipped: the protocol and the data plane of gateways and clients
// (internal/sim, which connects them as package engine does), what arrives for unknown peers
// (internal/unknown), the language of the control socket (internal/uapi), and for each gateway
// a serve.Server. Something else stands in for:
//
//   - the goroutines and sockets of package engine: internal/sim;
//   - the transport of the control socket, package control and what serve.Socket does with it:
//     each request, answer, want and event is written and parsed, but in memory;
//   - the log of events of package wg, with as many places: eventLog;
//   - the store: memory, which passes the tests of storetest, behind a link that can be slow or
//     cut;
//   - who routes packets to gateways: a table, which is changed some time after a failure;
//   - the clock: that of testing/synctest. The simulated internet is brought up to it before
//     anything else happens, at least once a millisecond.
//
// A seed decides about all keys, faults and traffic. The order in which the goroutines of
// serve run at one instant is Go's, so a run is not repeated to the last detail.
package fleet
