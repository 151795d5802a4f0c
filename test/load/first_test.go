package load

import (
	"net"
	"strings"
	"testing"
)

// A handshake without a response is lost. It has taken as long as a peer waits, and no error
// hides the others.
func TestFirstWithoutResponse(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ask, err := first(Job{Remote: silent.LocalAddr().String(), Peers: &Peers{Seed: 1, Peers: 1, Daemon: strings.Repeat("01", 32)}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ask()
	if err != nil || r.Lost != 1 || len(r.Times) != 1 || r.Times[0] != retransmission.Nanoseconds() {
		t.Errorf("the reading is %+v, error %v", r, err)
	}
}
