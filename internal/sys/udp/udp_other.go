//go:build !linux

package udp

// Listen is ListenPortable.
func Listen(port uint16, o Options) (*Pair, error) { return ListenPortable(port, o) }
