// Package udptest has a network for tests, in memory, with sockets like those of
// package udp, and puts what a test wants between sockets and those who use them.
// Any goroutine may call any method.
package udptest
