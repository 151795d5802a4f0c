//go:build !linux

package unixsocket

import (
	"errors"
	"fmt"
	"net"
)

// noPeers is why it is not known who connects.
var noPeers = fmt.Errorf("a group that may read needs Linux, where a socket tells the groups of who connects: %w", errors.ErrUnsupported)

func unknownID(string) uint32 { return 65534 }

// GroupOf returns none.
func GroupOf(string) (Group, bool) { return Group{}, false }

// PeerOf returns an error.
func PeerOf(*net.UnixConn) (Peer, error) { return Peer{}, noPeers }
