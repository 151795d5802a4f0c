package conf

import "wgd/key"

// A Capture says which packets of an interface are captured.
type Capture struct {
	// Peer is the public key of the peer whose packets are captured; nil means those
	// of all peers.
	Peer *key.Public
	// Outer captures the datagrams outside the tunnel, encrypted: data, handshakes,
	// cookie replies and keepalives.
	Outer bool
	// Inner captures the IP packets inside the tunnel.
	Inner bool
}
