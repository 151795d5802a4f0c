//go:build !windows

package unixsocket

// Unsupported is why there are no such sockets: nil, because there are. Only tests change
// it.
var Unsupported error
