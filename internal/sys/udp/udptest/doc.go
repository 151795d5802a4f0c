// Package udptest provides an in-memory network for tests, with sockets like those of
// package udp, and can wrap the Receivers and Senders of sockets. All methods are safe
// for concurrent use.
package udptest
