package wgimport

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// UTF-16, as PowerShell writes it, a byte-order mark and CRLF mean nothing.
func TestTextOfWindows(t *testing.T) {
	want := print(t, Import([]Source{{"wg0.conf", []byte(quickFile)}}))
	text := strings.ReplaceAll(quickFile, "\n", "\r\n")
	little, big := []byte{0xff, 0xfe}, []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(text)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	for _, raw := range [][]byte{[]byte(text), []byte("\xef\xbb\xbf" + text), little, big} {
		if got := print(t, Import([]Source{{"wg0.conf", raw}})); got != want {
			t.Errorf("%q gives\n%s", raw[:20], got)
		}
	}
	for _, raw := range []string{"\xff\xfe[", "[Interface]\n\xff", "[Interface]\n\x00"} {
		if got := print(t, Import([]Source{{"wg0.conf", []byte(raw)}})); !strings.Contains(got, "this is no text") {
			t.Errorf("%q gives\n%s", raw, got)
		}
	}
}

// A file of wg-quick that wgd understands stays as it is, to the byte.
func TestQuickStaysAsItIs(t *testing.T) {
	text := "# head\n\n[Interface]\n  privatekey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk= # mine\nDNS=1.1.1.1,a.b\n\n# a peer\n[Peer]\nPublicKey = " + somePeer + "\nAllowedIPs = ::/0\n# end"
	r := Import([]Source{{"wg0.conf", []byte(text)}})
	if len(r.Tunnels) != 1 || len(r.Notes) != 0 || string(r.Tunnels[0].Document.Bytes()) != text {
		t.Errorf("%s", print(t, r))
	}
}

// What is not a configuration of WireGuard is refused as a whole, by its content.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "no configuration of WireGuard",
		"client\ndev tun\nremote vpn.example 1194": "no configuration of WireGuard",
		"network:\n  tunnels:\n":                   "no configuration of WireGuard",
		"[connection]\ntype=vpn\n":                 "a connection of another type than wireguard: vpn",
		"[NetDev]\nName=br0\nKind=bridge\n":        "an interface of another kind than wireguard: bridge",
		"[Match]\nName=wg0\n[Network]\nDNS=::1\n":  "no .netdev among the files",
	} {
		r := Import([]Source{{"x", []byte(text)}})
		if len(r.Tunnels) != 0 || len(r.Notes) != 1 || r.Notes[0].Kind != Refused || !strings.Contains(r.Notes[0].Text, want) {
			t.Errorf("%q gives\n%s", text, print(t, r))
		}
	}
}

// No message repeats a key, wherever it stands.
func TestNoMessageHasAKey(t *testing.T) {
	const secret = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	for _, text := range []string{
		"[connection]\ntype=wireguard\n" + secret + "\n" + secret + "=x\n[wireguard]\nprivate-key=" + secret + "x\nmtu=" + secret + "\n[wireguard-peer.x" + secret + "]\nendpoint=" + secret +
			"\n[ipv4]\naddress1=" + secret + "\ndns=" + secret + "\nmethod=" + secret + "\nroute1=" + secret + "\nroute1_options=" + secret + "\n[" + secret + "]\na=" + secret,
		"[connection]\ntype=" + secret,
		"[NetDev]\nKind=" + secret,
		"[NetDev]\nName=" + secret + "\nKind=wireguard\n" + secret + "=1\n[WireGuard]\nPrivateKey=" + secret + "x\nFirewallMark=" + secret + "\nPrivateKey=@" + secret + "\nRouteTable=" + secret +
			"\n[WireGuardPeer]\nPublicKey=" + secret[1:] + "\n[WireGuardPeer]\nPublicKey=" + somePeer + "\nAllowedIPs=" + secret + "\nPresharedKeyFile=" + secret + "\n[" + secret + "]\na=b",
		"[Interface]\nMTU = " + secret + "\n" + secret + "\n[" + secret + "]\n" + secret + "=5\n[Peer]\nPublicKey=" + secret + "x\nEndpoint=" + secret,
	} {
		r := Import([]Source{{"x", []byte(text)}})
		if len(r.Notes) == 0 {
			t.Errorf("no message about\n%s", text)
		}
		for _, n := range r.Notes {
			if strings.Contains(n.String(), secret[:12]) || strings.Contains(n.String(), secret[20:32]) {
				t.Errorf("%q has a part of a key", n)
			}
		}
	}
}

// Errors that come to light one at a time do not cost the square of their number.
func TestManyErrors(t *testing.T) {
	text := strings.Repeat("a = b\n", 10_000) + "[Interface]\n" + strings.Repeat("MTU = x\nnonsense\n", 5_000)
	if r := Import([]Source{{"wg0.conf", []byte(text)}}); len(r.Tunnels) != 1 || len(r.Notes) < 20_000 {
		t.Errorf("%d tunnels, %d messages", len(r.Tunnels), len(r.Notes))
	}
}

// In every section, a key that is not known has a message with its line, and so
// has a section that is not known, and a line without an equals sign.
func TestUnknownKeysAreReported(t *testing.T) {
	keyfile := "[connection]\ntype=wireguard\nZz=1\n[wireguard]\nZz=1\n[wireguard-peer." + somePeer + "]\nZz=1\n[ipv4]\nZz=1\n[ipv6]\nZz=1\n[proxy]\nZz=1\n[Yy]\nZz=1\n[wireguard-peer.x]\nZz=1\n"
	device := "[NetDev]\nName=wg0\nKind=wireguard\nZz=1\n[WireGuard]\nZz=1\n[WireGuardPeer]\nPublicKey=" + somePeer + "\nZz=1\n[Yy]\nZz=1\n[WireGuardPeer]\nZz=1\n[Match]\nZz=1\n"
	network := "[Match]\nName=wg0\nZz=1\n[Link]\nZz=1\n[Network]\nZz=1\n[Address]\nZz=1\n[Route]\nZz=1\n[RoutingPolicyRule]\nZz=1\n[Yy]\nZz=1\n"
	quick := "Zz=1\n[Interface]\nZz=1\n[Peer]\nPublicKey=" + somePeer + "\nZz=1\n[Yy]\nZz=1\n[Peer]\nZz=1\n"
	for _, sources := range [][]Source{
		{{"a", []byte(keyfile)}},
		{{"a", []byte(device)}, {"b", []byte(network)}},
		{{"a", []byte(quick)}},
		{{"a", []byte(strings.ReplaceAll(keyfile, "Zz=1", "Zz"))}},
		{{"a", []byte(strings.ReplaceAll(device, "Zz=1", "Zz"))}, {"b", []byte(strings.ReplaceAll(network, "Zz=1", "Zz"))}},
	} {
		r := Import(sources)
		check(t, r)
		reported := map[place]bool{}
		for _, n := range r.Notes {
			if n.Kind == Lost {
				reported[place{file: n.File, line: n.Line}] = true
			}
		}
		for _, s := range sources {
			for i, line := range strings.Split(string(s.Text), "\n") {
				if strings.HasPrefix(line, "Zz") && !reported[place{file: s.Name, line: i + 1}] {
					t.Errorf("no message about line %d of\n%s", i+1, s.Text)
				}
			}
		}
	}
}
