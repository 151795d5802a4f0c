// Package storetest is what every store must do, as tests, and the peers that they use.
package storetest

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

// Numbered returns a peer in which everything follows from its number.
func Numbered(n int) *store.Peer {
	var b [key.Size]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)*0x9e3779b97f4a7c15) // keys are in no order
	b[8] = 1
	var v4 [4]byte
	binary.BigEndian.PutUint32(v4[:], 10<<24|uint32(n))
	v6 := [16]byte{0: 0xfd}
	binary.BigEndian.PutUint32(v6[12:], uint32(n))
	return &store.Peer{
		Name: fmt.Sprintf("peer%d", n), PublicKey: key.Public(b), PresharedKey: key.NewPreshared(&b),
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(v4), 32), netip.PrefixFrom(netip.AddrFrom16(v6), 128)},
		Seen:       store.Seen{Endpoint: EndpointOf(n), At: time.Unix(1764000000, 0), Stamp: wire.StampAt(time.Unix(1764000000, 0))},
	}
}

// EndpointOf returns where the peer with a number was seen.
func EndpointOf(n int) netip.AddrPort {
	var v4 [4]byte
	binary.BigEndian.PutUint32(v4[:], 100<<24|uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(v4), 51820)
}

// NumberedPeers returns the peers with the numbers below n.
func NumberedPeers(n int) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		for i := range n {
			if !yield(Numbered(i), nil) {
				return
			}
		}
	}
}

// Add adds peers.
func Add(t *testing.T, s store.Store, peers ...*store.Peer) {
	t.Helper()
	for _, p := range peers {
		if err := s.Add(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Prefixes parses prefixes.
func Prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
