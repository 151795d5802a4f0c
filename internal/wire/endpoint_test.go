package wire

import (
	"net/netip"
	"testing"
)

// A54, A52: NewEndpoint unmaps IPv4-mapped addresses and keeps the scope of a
// link-local remote address; Sourceless keeps only the remote address.
func TestEndpoint(t *testing.T) {
	e := NewEndpoint(netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), netip.MustParseAddr("::ffff:192.0.2.9"), 3)
	if want := netip.MustParseAddrPort("192.0.2.1:5"); e.Remote != want || e.Source != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("IPv4-mapped: got %v", e)
	}
	e = NewEndpoint(netip.MustParseAddrPort("[fe80::1%eth0]:5"), netip.MustParseAddr("fe80::2%eth0"), 3)
	if e.Remote.Addr().Zone() != "eth0" || e.Source != netip.MustParseAddr("fe80::2") || e.SourceIndex != 3 {
		t.Errorf("link-local: got %v", e)
	}
	if got := e.Sourceless(); got != (Endpoint{Remote: e.Remote}) || !got.IsValid() {
		t.Errorf("Sourceless returns %v", got)
	}
	if (Endpoint{}).IsValid() || (Endpoint{Remote: netip.MustParseAddrPort("192.0.2.1:0")}).IsValid() {
		t.Error("an endpoint without address or port is valid")
	}
}
