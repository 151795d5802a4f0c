package engine

import (
	"net/netip"
	"testing"

	"wgd/internal/clock"
)

// What a handshake message for another public key costs beside its mac1, in a flood from
// many addresses.
func BenchmarkUnread(b *testing.B) {
	var u unread
	b.ReportAllocs()
	for i := range b.N {
		u.add(clock.Time(i)*5000, netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 51820))
	}
}
