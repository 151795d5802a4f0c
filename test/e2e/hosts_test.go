package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// pair is two hosts on one wire and the tunnel between them, B the one who
// knows where the other is.
func pair(t *testing.T) (a, b *lab.Host, ta, tb *lab.Tunnel) {
	t.Helper()
	a, b = lab.Pair(t)
	ta, tb = lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	return a, b, ta, tb
}

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// ends wants no wgd left on a host within a while.
func ends(t *testing.T, h *lab.Host, limit time.Duration) {
	t.Helper()
	lab.Until(t, limit, "the daemon of host "+h.Name+" ends", func() (bool, string) {
		return len(h.PIDs("wgd")) == 0, "it runs"
	})
}

// endpointIs waits until a tunnel's peer is where it should be.
func endpointIs(t *testing.T, tun, peer *lab.Tunnel, want string) {
	t.Helper()
	lab.Until(t, 3*time.Second, "endpoint "+want, func() (bool, string) {
		got := tun.Peer(peer).Endpoint
		return got == want, got
	})
}

// contains wants a text in another.
func contains(t *testing.T, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Fatalf("no %q in:\n%s", want, text)
	}
}

// some wants packets to have been seen: what is asked of each of none proves
// nothing.
func some(t *testing.T, packets []lab.Packet) []lab.Packet {
	t.Helper()
	if len(packets) == 0 {
		t.Fatal("no packet was seen: this test proves nothing")
	}
	return packets
}

// Types of messages, the first byte of each.
const (
	initiation = 1
	response   = 2
	data       = 4
)

// messages are the packets of a capture that begin with a type.
func messages(packets []lab.Packet, kind byte, out bool) []lab.Packet {
	var list []lab.Packet
	for _, p := range packets {
		if p.Out == out && len(p.Payload) > 3 && p.Payload[0] == kind {
			list = append(list, p)
		}
	}
	return list
}

// sessions are the receiver indices of the data messages of a capture that left
// the host, in order, each once in a row.
func sessions(packets []lab.Packet) []string {
	var list []string
	for _, p := range messages(packets, data, true) {
		if len(p.Payload) < 8 {
			continue
		}
		if index := string(p.Payload[4:8]); len(list) == 0 || list[len(list)-1] != index {
			list = append(list, index)
		}
	}
	return list
}
