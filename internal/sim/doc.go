// Package sim is a simulated internet in virtual time on which complete tunnels
// run: the protocol machine and the data plane, connected by package driver as
// in package engine, but without goroutines, sockets or a clock.
//
//	net := sim.New(seed)
//	a, b := net.Pair()                  // two hosts that are up and each other's peers
//	net.Default.Loss = 0.1
//	a.Send(b, "hello")                  // an inner packet
//	net.Run(time.Hour)                  // takes milliseconds
//	b.Got                               // packets that arrived through b's tunnel
//	a.Sent                              // every datagram that a sent
//
// Everything that happens is an event in one queue, and all random numbers are
// derived from one seed, so the same seed repeats a run exactly.
//
// A host behaves as with package engine, because driver decides for both; only
// the handshake queue is shorter. Diffie-Hellman jobs go to as many workers as
// the host has Cores and take JobTime each, so that load can be simulated.
// Notes from the data plane reach the machine up to CoreDelay later, so that
// other events can happen in between. While a host sleeps (Sleep), its clock
// goes on, as CLOCK_BOOTTIME does; its wall clock may be stepped (Wall).
//
// Between the hosts, each datagram has a Path (delay, jitter, loss, duplicates,
// congestion, fragments), and there may be NATs.
package sim
