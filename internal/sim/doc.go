// Package sim is a virtual internet in virtual time, on which whole tunnels
// run: the protocol machine and the data plane, joined by package driver as in
// package engine, but without a goroutine, a socket or a clock.
//
//	net := sim.New(seed)
//	a, b := net.Pair()                  // two hosts, up, each other's peers
//	net.Default.Loss = 0.1
//	a.Send(b, "hello")                  // an inner packet
//	net.Run(time.Hour)                  // takes milliseconds
//	b.Got                               // what came out of b's tunnel
//	a.Sent                              // every datagram that a sent
//
// Everything that happens is an event in one queue, and all dice are thrown by
// one generator, so a seed tells the whole story again.
//
// What a host does is what engine does with a real one, because driver decides
// it for both; the queue of handshakes has a smaller capacity. Diffie-Hellman jobs
// go to as many workers as the host has Cores and take JobTime each, so load is
// load; notes of the data plane reach the machine up to CoreDelay later, so what
// can happen in between does. Time that a host sleeps through (Sleep) passes on
// its clock, as on CLOCK_BOOTTIME; its wall clock may be stepped (Wall).
//
// Between the hosts there are a Path for each datagram (delay, jitter, loss,
// duplicates, congestion, fragments), and NATs.
package sim
