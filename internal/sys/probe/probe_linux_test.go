package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// A port on which nobody listens is reported, of both families; one on which somebody
// listens is not.
func TestPorts(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Logf("left out: %s: %v", host, err)
			continue
		}
		at := socket.LocalAddr().(*net.UDPAddr).AddrPort()
		got := All([]netip.AddrPort{at}, 0, 100*time.Millisecond)
		if socket.Close(); len(got) != 0 {
			t.Errorf("somebody listens on %v: got %v", at, got)
		}
		if name := closedPort(t, host); name != "ECONNREFUSED" {
			t.Errorf("nobody listens at %s: got %q", host, name)
		}
	}
}

// closedPort probes ports that were just closed, until there is a report: another
// program may have opened one meanwhile.
func closedPort(t *testing.T, host string) (name string) {
	for range 5 {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		at := socket.LocalAddr().(*net.UDPAddr).AddrPort()
		socket.Close()
		if name = All([]netip.AddrPort{at}, 0, 5*time.Second)[at]; name != "" {
			break
		}
	}
	return name
}
