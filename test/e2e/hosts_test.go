package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// pair returns two hosts on one link, and the tunnel between them. Only B has an
// endpoint.
func pair(t *testing.T) (a, b *lab.Host, ta, tb *lab.Tunnel) {
	t.Helper()
	a, b = lab.Pair(t)
	ta, tb = lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	return a, b, ta, tb
}

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// ends waits until no wgd runs on a host.
func ends(t *testing.T, h *lab.Host, limit time.Duration) {
	t.Helper()
	lab.Until(t, limit, "the daemon of host "+h.Name+" ends", func() (bool, string) {
		return len(h.PIDs("wgd")) == 0, "it still runs"
	})
}

// endpointIs waits until a tunnel has the endpoint want for a peer.
func endpointIs(t *testing.T, tun, peer *lab.Tunnel, want string) {
	t.Helper()
	lab.Until(t, 10*time.Second, "endpoint "+want, func() (bool, string) {
		got := tun.Peer(peer).Endpoint
		return got == want, got
	})
}

// summarize returns the summary of a flow that has ended. It waits until all datagrams
// have arrived, but not for long: on a loaded machine some may still be in a queue.
func summarize(h *lab.Host, collector int, sent lab.FlowResult) lab.Summary {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s := lab.Summarize(h.Collected(collector), sent.Sent)
		if s.Lost == 0 || time.Now().After(end) {
			return s
		}
	}
}

// contains fails the test unless want is in the text.
func contains(t *testing.T, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Fatalf("no %q in:\n%s", want, text)
	}
}

// some returns the packets, and fails the test if there are none: a check of each of
// them would prove nothing.
func some(t *testing.T, packets []lab.Packet) []lab.Packet {
	t.Helper()
	if len(packets) == 0 {
		t.Fatal("no packet was seen: this test proves nothing")
	}
	return packets
}

// The types of messages, which are their first bytes.
const (
	initiation = 1
	response   = 2
	data       = 4
)

// messages returns the packets of a capture that have a type and a direction.
func messages(packets []lab.Packet, kind byte, out bool) []lab.Packet {
	var list []lab.Packet
	for _, p := range packets {
		if p.Out == out && len(p.Payload) > 3 && p.Payload[0] == kind {
			list = append(list, p)
		}
	}
	return list
}

// sessions returns the receiver indices of the data messages of a capture that left the
// host, in order, without successive duplicates.
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
