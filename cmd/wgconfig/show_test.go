package main

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// The output in the example of wg(4), byte for byte.
func TestSpecExample(t *testing.T) {
	start(t, conf.Status{Tunables: conf.DefaultTunables()})
	runOK(t, "wg0 set private-key "+keyFile(t, private.Base64()+"\n", 0o600))
	runOK(t, "wg0 set listen-port 1234")
	runOK(t, "wg0 add peer B "+pubkeyB+" --allowed-ips=10.2.0.42/32,fd00:2::42/128")
	const want = `interface: wg0
	private-key: (hidden)
	listen-port: 1234
	peer: B
		public-key: X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU=
		endpoint: (none)
		preshared-key: (hidden)
		allowed-ips: 10.2.0.42/32,fd00:2::42/128
		latest-handshake: (never)
`
	for _, line := range []string{"wg0", "wg0 show all", "wg0 show"} {
		if got := runOK(t, line); got != want {
			t.Errorf("wgconfig %s:\n%s\nwant\n%s", line, got, want)
		}
	}
	const peer = `peer: B
	public-key: X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU=
	endpoint: (none)
	preshared-key: (hidden)
	allowed-ips: 10.2.0.42/32,fd00:2::42/128
	latest-handshake: (never)
`
	for line, want := range map[string]string{
		"wg0 show peer B":                        peer,
		"wg0 show peer B --show-preshared-key":   strings.Replace(peer, "(hidden)", "(none)", 1),
		"wg0 show peer --show-preshared-key B":   strings.Replace(peer, "(hidden)", "(none)", 1),
		"wg0 show peer " + pubkeyB:               peer,
		"wg0 show private-key":                   "private-key: " + private.Base64() + "\n",
		"wg0 sysctl net.wg.rekey_after_messages": "net.wg.rekey_after_messages = 1152921504606846976\n",
	} {
		if got := runOK(t, line); got != want {
			t.Errorf("wgconfig %s:\n%s\nwant\n%s", line, got, want)
		}
	}
	runOK(t, "wg0 delete peer B")
	runOK(t, "wg0 set private-key /dev/null")
	runOK(t, "wg0 set listen-port 0")
	if got, want := runOK(t, "wg0"), "interface: wg0\n\tprivate-key: (hidden)\n\tlisten-port: (none)\n"; got != want {
		t.Errorf("%q", got)
	}
	if got := runOK(t, "wg0 show private-key"); got != "private-key: (none)\n" {
		t.Errorf("%q", got)
	}
}

// full returns the status of an interface with a value for every line.
func full() conf.Status {
	b, _ := key.ParsePublic(pubkeyB)
	return conf.Status{
		PrivateKey: private, ListenPort: 1234, FirewallMark: 0x1f, MTU: 1420, Up: true,
		Fault: "port 1234 is taken: choose another", AEAD: "AVX2; AVX-512 failed its self-test", Tunables: conf.DefaultTunables(),
		Drops:    []conf.Drop{{Reason: "replay", Count: 3}},
		Counters: []conf.Counter{{Name: "ecn-unmarked", Count: 4}},
		Peers: []conf.PeerStatus{
			{PublicKey: b, Name: "B", PresharedKey: psk, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:7"), PersistentKeepalive: 25,
				LastHandshake: time.Date(2020, 9, 3, 4, 5, 6, 0, time.Local), RxBytes: 148, TxBytes: 92, PathMTU: 1400, PathMTUSource: conf.PathMTUByICMP, AllowedIPs: prefixes("10.0.0.0/8", "::/0")},
			{PublicKey: key.Public{0xde, 0xad, 0xbe, 0xef, 0x11}},
			{PublicKey: key.Public{0xde, 0xad, 0xbe, 0xef, 0x12}, Endpoint: netip.MustParseAddrPort("192.0.2.1:8")},
		},
	}
}

// Our lines follow those of NetBSD. Times have the format of ctime(3), with its space.
func TestFullOutput(t *testing.T) {
	start(t, full())
	peerB := func(indent, secret string) string {
		return strings.ReplaceAll(`>public-key: `+pubkeyB+`
>endpoint: [2001:db8::1]:7
>preshared-key: `+secret+`
>allowed-ips: 10.0.0.0/8,::/0
>latest-handshake: Thu Sep  3 04:05:06 2020
>transfer: 148 bytes received, 92 bytes sent
>path-mtu: 1400
>path-mtu-source: icmp
>persistent-keepalive: 25
`, ">", indent)
	}
	want := `interface: wg0
	private-key: (hidden)
	listen-port: 1234
	fwmark: 0x1f
	fault: port 1234 is taken: choose another
	aead: AVX2; AVX-512 failed its self-test
	peer: B
` + peerB("\t\t", "(hidden)") + `	peer: deadbeef11
		public-key: 3q2+7xEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
		endpoint: (none)
		preshared-key: (hidden)
		allowed-ips: (none)
		latest-handshake: (never)
	peer: deadbeef12
		public-key: 3q2+7xIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
		endpoint: 192.0.2.1:8
		preshared-key: (hidden)
		allowed-ips: (none)
		latest-handshake: (never)
`
	if got := runOK(t, "wg0"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	why := "\tstate: not in use: the interface does not work\n\tcause: port 1234 is taken: choose another\n\tremedy: correct this, then wg-ifconfig wg0 down up\n"
	if got, want := runOK(t, "wg0 show peer B --show-preshared-key"), "peer: B\n"+peerB("\t", psk.Base64())+why; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := runOK(t, "wg0 show peer deadbeef12"); !strings.HasPrefix(got, "peer: deadbeef12\n\tpublic-key: 3q2+7xI") {
		t.Error(got)
	}
}

// A peer for which something does not work has the reason, in text and in JSON. One that
// was never used, or that works, has no such lines.
func TestShowsReasons(t *testing.T) {
	status := full()
	status.Fault = ""
	now := time.Now()
	status.Peers[2].Observations = []conf.Observation{
		{Kind: conf.NoAnswer, Count: 3, First: now.Add(-20 * time.Second), Last: now, Address: netip.MustParseAddrPort("192.0.2.1:8")},
		{Kind: conf.SendFailed, Count: 3, First: now.Add(-20 * time.Second), Last: now, Address: netip.MustParseAddrPort("192.0.2.1:8"), Detail: "EPERM"},
	}
	status.Peers = append(status.Peers,
		conf.PeerStatus{PublicKey: key.Public{1}, Name: "new", Endpoint: netip.MustParseAddrPort("192.0.2.1:8"), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/32")}},
		conf.PeerStatus{PublicKey: key.Public{2}, Name: "without", Endpoint: netip.MustParseAddrPort("192.0.2.1:8"), LastHandshake: now})
	start(t, status)
	const none = "\n\tcause: the peer has no allowed IPs"
	if got := runOK(t, "wg0 show peer without"); !strings.Contains(got, none) {
		t.Errorf("got\n%s\nwant it to contain %q", got, none)
	}
	got := runOK(t, "wg0 show peer deadbeef12")
	for _, want := range []string{
		"\n\tstate: no handshake has completed yet: 3 initiations were sent without success since ",
		"\n\tcause: this host's own firewall refuses to send to 192.0.2.1:8 (EPERM), 3 times",
		"\n\tremedy: let UDP from port 1234 to 192.0.2.1:8 pass",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant it to contain %q", got, want)
		}
	}
	for _, line := range []string{"wg0 show peer B", "wg0 show peer deadbeef11", "wg0 show peer new", "wg0"} {
		if got := runOK(t, line); strings.Contains(got, "cause:") || strings.Contains(got, "state:") {
			t.Errorf("%s: got\n%s", line, got)
		}
	}
	var peer struct {
		State   string
		Reasons []struct{ Cause string }
	}
	if err := json.Unmarshal([]byte(runOK(t, "wg0 show peer deadbeef12 --json")), &peer); err != nil {
		t.Fatal(err)
	}
	if peer.State != "trying" || len(peer.Reasons) == 0 || peer.Reasons[0].Cause != "firewall" {
		t.Errorf("the JSON has %+v", peer)
	}
}

// What concerns the whole interface is a reason for a peer as well: strangers with the
// peer's address, but no others. A name that does not resolve is one also before anything
// was sent.
func TestShowsSharedReasons(t *testing.T) {
	status := full()
	status.Fault = ""
	now := time.Now()
	for _, from := range []string{"192.0.2.1:9", "192.0.2.99:9"} {
		status.Observations = append(status.Observations, conf.Observation{Kind: conf.BadMAC1, Count: 1, First: now, Last: now, Address: netip.MustParseAddrPort(from)})
	}
	status.Observations = append(status.Observations, conf.Observation{Kind: conf.NoPeer, Count: 1, First: now, Last: now, Address: netip.MustParseAddrPort("192.0.2.1:0")})
	status.Peers[1].EndpointName, status.Peers[1].EndpointFailure = "new.example:7", "nobody knows it"
	start(t, status)
	got := runOK(t, "wg0 show peer deadbeef12")
	if strings.Count(got, "\tcause: ") != 1 || !strings.Contains(got, "from 192.0.2.1:9 that were made for another public key than that of wg0") {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show peer B"); strings.Contains(got, "cause:") {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show peer deadbeef11"); !strings.Contains(got, "\n\tstate: never used") || !strings.Contains(got, "\n\tcause: the name of the endpoint new.example:7 does not resolve: nobody knows it.") {
		t.Error(got)
	}
	var all struct{ Reasons []struct{ Cause string } }
	if err := json.Unmarshal([]byte(runOK(t, "wg0 --json")), &all); err != nil || len(all.Reasons) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestJSON: every key that the manual names, and no secret that was not asked for.
func TestJSON(t *testing.T) {
	start(t, full())
	text := runOK(t, "wg0 show all --json")
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	peer := got["peers"].([]any)[0]
	delete(got, "peers")
	want := map[string]any{"interface": "wg0", "up": true, "mtu": 1420.0, "fault": "port 1234 is taken: choose another",
		"public_key": private.Public().Base64(), "listen_port": 1234.0, "fwmark": 31.0, "mss_clamp": true, "aead": "AVX2; AVX-512 failed its self-test", "drops": map[string]any{"replay": 3.0},
		"counters": map[string]any{"ecn-unmarked": 4.0},
		"reasons":  []any{map[string]any{"cause": "interface-failure", "text": "port 1234 is taken: choose another", "remedy": "correct this, then wg-ifconfig wg0 down up"}},
		"tunables": map[string]any{"net.wg.rekey_after_messages": "1152921504606846976", "net.wg.rekey_after_time": "120",
			"net.wg.rekey_timeout": "5", "net.wg.rekey_attempt_time": "90", "net.wg.keepalive_timeout": "10",
			"net.wg.force_underload": "0", "net.wg.debug": "0", "net.wg.path_mtu_probes": "1"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	wantPeer := map[string]any{"name": "B", "named": true, "public_key": pubkeyB, "endpoint": "[2001:db8::1]:7", "endpoint_name": nil, "endpoint_failure": nil,
		"has_preshared_key": true, "allowed_ips": []any{"10.0.0.0/8", "::/0"},
		"latest_handshake":     float64(time.Date(2020, 9, 3, 4, 5, 6, 0, time.Local).Unix()),
		"persistent_keepalive": 25.0, "rx_bytes": 148.0, "tx_bytes": 92.0, "path_mtu": 1400.0, "path_mtu_source": "icmp",
		"state": "down", "state_text": "not in use: the interface does not work", "reasons": []any{}}
	if !reflect.DeepEqual(peer, any(wantPeer)) {
		t.Errorf("got %v\nwant %v", peer, wantPeer)
	}
	if strings.Contains(text, private.Base64()) || strings.Contains(text, psk.Base64()) {
		t.Error("a secret")
	}
	if got := runOK(t, "wg0 --json"); got != text {
		t.Error("wgconfig wg0 --json is another")
	}
	if got := runOK(t, "wg0 show peer B --json --show-preshared-key"); !strings.Contains(got, `"preshared_key": "`+psk.Base64()+`"`) {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show peer deadbeef11 --json"); !strings.Contains(got, `"allowed_ips": []`) || !strings.Contains(got, `"endpoint": null`) {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show private-key --json"); !strings.Contains(got, `"private_key": "`+private.Base64()+`"`) {
		t.Error(got)
	}
}
