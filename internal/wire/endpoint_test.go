package wire

import (
	"net/netip"
	"testing"
)

// A54, A52: IPv4-mapped addresses are IPv4, the scope of a link-local endpoint
// stays, and without the sticky source only the remote address is left.
func TestEndpoint(t *testing.T) {
	e := NewEndpoint(netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), netip.MustParseAddr("::ffff:192.0.2.9"), 3)
	if want := netip.MustParseAddrPort("192.0.2.1:5"); e.Remote != want || e.Source != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("IPv4-mapped: %v", e)
	}
	e = NewEndpoint(netip.MustParseAddrPort("[fe80::1%eth0]:5"), netip.MustParseAddr("fe80::2%eth0"), 3)
	if e.Remote.Addr().Zone() != "eth0" || e.Source != netip.MustParseAddr("fe80::2") || e.SourceIndex != 3 {
		t.Errorf("link-local: %v", e)
	}
	if got := e.Sourceless(); got != (Endpoint{Remote: e.Remote}) || !got.IsValid() {
		t.Errorf("sourceless: %v", got)
	}
	if (Endpoint{}).IsValid() || (Endpoint{Remote: netip.MustParseAddrPort("192.0.2.1:0")}).IsValid() {
		t.Error("without address or port it is valid")
	}
}
