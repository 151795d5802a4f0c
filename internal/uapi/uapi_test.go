package uapi_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/key"
)

const (
	hexA     = "e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a"
	hexB     = "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33"
	hexStamp = "400000006b0cc41410000000"

	hexC = "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376"
)

func ptr[T any](v T) *T { return &v }

func public(t testing.TB, s string) key.Public {
	t.Helper()
	k, err := key.ParsePublicHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func stamp(t testing.TB) conf.Stamp {
	t.Helper()
	s, err := conf.ParseStamp(hexStamp)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fullRequest is a request with every key, which decodes to fullChange.
const fullRequest = "set=1\nprivate_key=" + hexA + "\nlisten_port=12912\nfwmark=51820\nmss_clamp=0\nlent_limit=1000\nstamp_floor=" + hexStamp + "\nreplace_peers=true\n" +
	"net.wg.rekey_after_time=10\nnet.wg.force_underload=1\n" +
	"public_key=" + hexB + "\nname=B\nprotocol_version=1\npreshared_key=" + hexC + "\nendpoint=[abcd:23::33%2]:51820\nendpoint_name=vpn.example.org:51820\n" +
	"initiate=true\nstamp=" + hexStamp + "\nlent=600\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=192.168.4.4/32\nallowed_ip=-10.0.0.0/8\nallowed_ip=+fd00::1/64\n" +
	"public_key=" + hexC + "\nupdate_only=true\nname=\n" +
	"public_key=" + hexA + "\nremove=true\n\n"

func fullChange(t testing.TB) conf.Change {
	private, _ := key.ParsePrivateHex(hexA)
	preshared, _ := key.ParsePresharedHex(hexC)
	return conf.Change{
		PrivateKey:   &private,
		ListenPort:   ptr(uint16(12912)),
		FirewallMark: ptr(uint32(51820)),
		MSSClamp:     ptr(false),
		LentLimit:    ptr(uint32(1000)),
		StampFloor:   ptr(stamp(t)),
		ReplacePeers: true,
		Tunables:     conf.TunablesChange{RekeyAfterTime: ptr(10 * time.Second), ForceUnderload: ptr(true)},
		Peers: []conf.PeerChange{
			{PublicKey: public(t, hexB), Name: ptr("B"), PresharedKey: &preshared,
				Endpoint:            ptr(netip.MustParseAddrPort("[abcd:23::33%2]:51820")),
				EndpointName:        ptr("vpn.example.org:51820"),
				Initiate:            true,
				Stamp:               ptr(stamp(t)),
				Lent:                ptr(uint32(600)),
				PersistentKeepalive: ptr(uint16(25)), ReplaceAllowedIPs: true,
				AllowedIPs: []conf.AllowedIPChange{
					{Prefix: netip.MustParsePrefix("192.168.4.4/32")},
					{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Remove: true},
					{Prefix: netip.MustParsePrefix("fd00::/64")}, // A50: host bits are masked
				}},
			{PublicKey: public(t, hexC), UpdateOnly: true, Name: ptr("")},
			{PublicKey: public(t, hexA), Remove: true},
		},
	}
}

// TestSet: every key of the protocol, and every one that we added, is decoded,
// however the bytes arrive (B54).
func TestSet(t *testing.T) {
	want := fullChange(t)
	for name, r := range map[string]io.Reader{
		"at once":        strings.NewReader(fullRequest),
		"byte by byte":   iotest.OneByteReader(strings.NewReader(fullRequest)),
		"halves":         iotest.HalfReader(strings.NewReader(fullRequest)),
		"data and error": iotest.DataErrReader(strings.NewReader(fullRequest)),
		"CRLF":           strings.NewReader(strings.ReplaceAll(fullRequest, "\n", "\r\n")),
	} {
		d := uapi.NewDecoder(r)
		request, err := d.Next()
		if err != nil || request.Get || !reflect.DeepEqual(request.Change, want) {
			t.Errorf("%s: %v, got\n%+v\nwant\n%+v", name, err, request.Change, want)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("%s: after the request: got %v, want EOF", name, err)
		}
	}
}

// TestRefused: nothing of an invalid request is returned (A59), the error names
// the key, and the next request can be read.
func TestRefused(t *testing.T) {
	peer := "public_key=" + hexB + "\n"
	for _, c := range []struct{ lines, want string }{
		{"listen_port=1\nlistenport=2", "listenport: no such key of an interface"},
		{peer + "endpiont=1.2.3.4:5", "endpiont: no such key of a peer"},
		{peer + "listen_port=5", "listen_port: no such key of a peer"},
		{"allowed_ip=10.0.0.0/8", "allowed_ip: no such key of an interface"},
		{"listen_port", "a line without ="},
		{"listen_port=65536", "listen_port: 65536: give a number from 0 to 65535"},
		{"listen_port=-1", "listen_port: -1"},
		{"listen_port=+1", "listen_port: +1"},
		{"listen_port=", "listen_port: "},
		{"fwmark=4294967296", "fwmark: 4294967296: give a number from 0 to 4294967295"},
		{"fwmark=0x10", "fwmark: 0x10"},
		{"replace_peers=false", "replace_peers: false: the only value is true"},
		{"private_key=abcd", "private_key"},
		{"public_key=" + hexB[1:] + "x", "public_key"},
		{peer + "preshared_key=" + strings.ToUpper(hexA)[:63] + "!", "preshared_key"},
		{peer + "endpoint=example.org:51820", "endpoint: example.org:51820: give ADDRESS:PORT"},
		{peer + "endpoint_name=192.0.2.1:5", "endpoint name 192.0.2.1:5: give HOST:PORT"},
		{peer + "endpoint=1.2.3.4:0", "no datagram reaches port 0"},
		{peer + "endpoint=::1:5", "endpoint"},
		{peer + "allowed_ip=10.0.0.0/33", "allowed_ip: 10.0.0.0/33"},
		{peer + "allowed_ip=10.0.0.1", "allowed_ip: 10.0.0.1"},
		{peer + "allowed_ip=fe80::1%eth0/64", "allowed_ip"},
		{peer + "allowed_ip=--10.0.0.0/8", "allowed_ip"},
		{peer + "persistent_keepalive_interval=off", "persistent_keepalive_interval: off"},
		{peer + "protocol_version=2", "protocol_version: 2"},
		{peer + "remove=1", "remove: 1"},
		{peer + "lent=4294967296", "lent: 4294967296: give a number from 0 to 4294967295"},
		{peer + "lent=off", "lent: off"},
		{"lent_limit=-1", "lent_limit: -1"},
		{"stamp_floor=1", "stamp_floor: 1: a timestamp has 24 hexadecimal digits"},
		{peer + "initiate=1", "initiate: 1: the only value is true"},
		{peer + "stamp=" + hexStamp[2:], "stamp: 0000…: a timestamp has 24 hexadecimal digits"},
		{peer + "stamp=" + hexStamp[2:] + "xy", "stamp: "},
		{"stamp=" + hexStamp, "stamp: no such key of an interface"},
		{peer + "update_only=", "update_only: "},
		{peer + "replace_allowed_ips=yes", "replace_allowed_ips: yes"},
		{peer + "name=a b", "is not allowed in a name"},
		{peer + "name=x\npublic_key=" + hexC + "\nname=x", "gives this name to two peers"},
		{"net.wg.rekey_timeout=0", "net.wg.rekey_timeout"},
		{"net.wg.unknown=1", "net.wg.rekey_after_time"},
		{"listen_port=1\x00", "listen_port: 1?"},
		{"=", ": no such key"},
		{strings.Repeat("x", uapi.MaxLine+1), "a line is longer than 4096 bytes"},
		{"name=" + strings.Repeat("x", 10*uapi.MaxLine), "a line is longer than 4096 bytes"},
	} {
		d := uapi.NewDecoder(strings.NewReader("set=1\nfwmark=7\n" + c.lines + "\n\nget=1\n\n"))
		request, err := d.Next()
		var refused *uapi.Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: got error %v, want one with %q", c.lines, err, c.want)
			continue
		}
		if refused.Errno != uapi.EINVAL && refused.Errno != uapi.EPROTO {
			t.Errorf("%.60q: got errno %d, want EINVAL or EPROTO", c.lines, refused.Errno)
		}
		if !reflect.DeepEqual(request, uapi.Request{}) {
			t.Errorf("%.60q: a part of the request was returned: %+v", c.lines, request)
		}
		if request, err = d.Next(); err != nil || !request.Get {
			t.Errorf("%.60q: reading the next request: %v", c.lines, err)
		}
	}
}

// TestNoSecretInARefusal: errors contain no part of a secret key.
func TestNoSecretInARefusal(t *testing.T) {
	cases := []string{
		"private_key=" + hexA[:60], "private_key=" + hexA + "00", "private_key " + hexA, hexA, "private_key=" + hexA[:63] + "g",
		"public_key=" + hexB + "\npreshared_key=" + hexA[:62], "public_key=" + hexB + "\npreshared_key:" + hexA,
		hexA + "=1", "public_key=" + hexB + "\n" + hexA + "=1", "net.wg." + hexA + "=1",
	}
	for _, k := range uapi.InterfaceKeys() {
		if k.Set && k.Name != "private_key" {
			cases = append(cases, strings.Replace(k.Name, "*", "rekey_timeout", 1)+"="+hexA)
		}
	}
	for _, k := range uapi.PeerKeys() {
		if k.Set && k.Name != "public_key" && k.Name != "preshared_key" {
			cases = append(cases, "public_key="+hexB+"\n"+k.Name+"="+hexA, "public_key="+hexB+"\n"+k.Name+"=10.0.0.1/"+hexA)
		}
	}
	for _, lines := range cases {
		_, err := uapi.NewDecoder(strings.NewReader("set=1\n" + lines + "\n\n")).Next()
		if err == nil || strings.Contains(err.Error(), hexA[:8]) || strings.Contains(err.Error(), hexA[52:60]) {
			t.Errorf("%s: got error %v, want one without the key", lines, err)
		}
	}
}

// TestOperations: which lines begin a request, and which do not (B54).
func TestOperations(t *testing.T) {
	type answer struct {
		get   bool
		errno int
	}
	for _, c := range []struct {
		in   string
		want []answer
		end  error
	}{
		{"", nil, io.EOF},
		{"get=1\n\n", []answer{{get: true}}, io.EOF},
		{"get=1\n\nset=1\n\nget=1\n\n", []answer{{get: true}, {}, {get: true}}, io.EOF},
		{"get=1\nlisten_port=1\n\nget=1\n\n", []answer{{errno: uapi.EINVAL}, {get: true}}, io.EOF},
		{"get=2\nanything\n\nget=1\n\n", []answer{{errno: uapi.EPROTO}, {get: true}}, io.EOF},
		{"\nget=1\n\n", []answer{{errno: uapi.EPROTO}, {get: true}}, io.EOF},
		{"\r\n\n", []answer{{errno: uapi.EPROTO}, {errno: uapi.EPROTO}}, io.EOF},
		{strings.Repeat("y", 100000) + "\n\nget=1\n\n", []answer{{errno: uapi.EINVAL}, {get: true}}, io.EOF},
		{"get=1", nil, io.ErrUnexpectedEOF},
		{"get=1\n", nil, io.ErrUnexpectedEOF},
		{"set=1\nlisten_port=1\n", nil, io.ErrUnexpectedEOF},
		{"set=1\nlisten_port=1", nil, io.ErrUnexpectedEOF},
		{strings.Repeat("y", 100000), nil, io.ErrUnexpectedEOF},
	} {
		d := uapi.NewDecoder(iotest.OneByteReader(strings.NewReader(c.in)))
		for i, want := range c.want {
			request, err := d.Next()
			var refused *uapi.Error
			errors.As(err, &refused)
			got := answer{get: request.Get && err == nil}
			if refused != nil {
				got.errno = refused.Errno
			}
			if got != want {
				t.Errorf("%.40q: request %d: got %+v (%v), want %+v", c.in, i, got, err, want)
			}
		}
		if _, err := d.Next(); err != c.end {
			t.Errorf("%.40q: at the end: got %v, want %v", c.in, err, c.end)
		}
	}
}

// TestReplaceDropsEarlierLines: replace_allowed_ips also removes allowed IPs of
// earlier lines, because lines take effect in order.
func TestReplaceDropsEarlierLines(t *testing.T) {
	in := "set=1\npublic_key=" + hexB + "\nallowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=11.0.0.0/8\n\n"
	request, err := uapi.NewDecoder(strings.NewReader(in)).Next()
	if err != nil {
		t.Fatal(err)
	}
	p := request.Change.Peers[0]
	if !p.ReplaceAllowedIPs || len(p.AllowedIPs) != 1 || p.AllowedIPs[0].Prefix.String() != "11.0.0.0/8" {
		t.Errorf("got peer %+v, want 11.0.0.0/8 only", p)
	}
}

// TestMappedEndpointIsIPv4: an IPv4-mapped endpoint becomes an IPv4 endpoint (A54).
func TestMappedEndpointIsIPv4(t *testing.T) {
	in := "set=1\npublic_key=" + hexB + "\nendpoint=[::ffff:192.0.2.1]:5\n\n"
	request, err := uapi.NewDecoder(strings.NewReader(in)).Next()
	if err != nil || request.Change.Peers[0].Endpoint.String() != "192.0.2.1:5" {
		t.Errorf("got peers %v, %v, want the endpoint 192.0.2.1:5", request.Change.Peers, err)
	}
}

// A50: an IPv4-mapped prefix stays an IPv6 prefix of the same length when it is
// read and written, for additions and removals, however it is spelled.
func TestMappedPrefixStaysIPv6(t *testing.T) {
	for spelling, want := range map[string]string{
		"::ffff:0:0/96": "::ffff:0.0.0.0/96", "::ffff:10.0.0.1/128": "::ffff:10.0.0.1/128",
		"0:0:0:0:0:ffff:a00:1/97": "::ffff:0.0.0.0/97", "::ffff:10.0.0.1/95": "::fffe:0:0/95",
	} {
		for _, sign := range []string{"", "-", "+"} {
			in := "set=1\npublic_key=" + hexB + "\nallowed_ip=" + sign + spelling + "\n\n"
			request, err := uapi.NewDecoder(strings.NewReader(in)).Next()
			if err != nil {
				t.Fatal(err)
			}
			got := request.Change.Peers[0].AllowedIPs[0]
			if got.Prefix != netip.MustParsePrefix(want) || !got.Prefix.Addr().Is6() || got.Remove != (sign == "-") {
				t.Errorf("%s%s: decoded as %+v, want %s", sign, spelling, got, want)
			}
			var text bytes.Buffer
			if err := uapi.WriteChange(bufio.NewWriter(&text), &request.Change); err != nil || !strings.Contains(text.String(), want+"\n") {
				t.Errorf("%s%s: encoded as %q, %v, want %s", sign, spelling, &text, err, want)
			}
		}
		status := conf.Status{Peers: []conf.PeerStatus{{AllowedIPs: []netip.Prefix{netip.MustParsePrefix(want)}}}}
		var answer bytes.Buffer
		if err := uapi.WriteStatus(bufio.NewWriter(&answer), &status); err != nil {
			t.Fatal(err)
		}
		back, err := uapi.NewReader(&answer).Status()
		if err != nil || back.Peers[0].AllowedIPs[0] != status.Peers[0].AllowedIPs[0] {
			t.Errorf("status with %s: read back as %v, %v", want, back.Peers, err)
		}
	}
}

// TestSamePeerTwiceIsTwoSteps: a peer that occurs twice in a request is two
// changes, in the same order (A59).
func TestSamePeerTwiceIsTwoSteps(t *testing.T) {
	in := "set=1\npublic_key=" + hexB + "\nremove=true\npublic_key=" + hexB + "\nname=B\n\n"
	request, err := uapi.NewDecoder(strings.NewReader(in)).Next()
	if err != nil || len(request.Change.Peers) != 2 || !request.Change.Peers[0].Remove || request.Change.Peers[1].Remove {
		t.Errorf("got peers %+v, %v, want a removal and then an addition", request.Change.Peers, err)
	}
}

func status(t testing.TB) conf.Status {
	private, _ := key.ParsePrivateHex(hexA)
	preshared, _ := key.ParsePresharedHex(hexC)
	return conf.Status{
		PrivateKey: private, PublicKey: private.Public(), ListenPort: 51820, FirewallMark: 1 << 31, NoMSSClamp: true, LentLimit: 7, MTU: 1420, Up: true, InProcess: true,
		Fault: "port 51820 is taken: choose another", AEAD: "AVX2; AVX-512 failed its self-test", Tunables: conf.DefaultTunables(),
		Drops:    []conf.Drop{{Reason: "replay", Count: 3}, {Reason: "no route: none", Count: 1<<64 - 1}},
		Counters: []conf.Counter{{Name: "ecn-unmarked", Count: 1<<64 - 1}},
		Observations: []conf.Observation{
			{Kind: conf.UnknownKey, Count: 3, First: time.Unix(1, 0), Last: time.Unix(5, 0), Key: public(t, hexC), Address: netip.MustParseAddrPort("[fe80::1%eth0]:7")},
			{Kind: conf.NoPeer, Count: 1<<63 - 1, First: time.Unix(1, 0), Last: time.Unix(1, 0), Address: netip.AddrPortFrom(netip.MustParseAddr("fd00::1"), 0)},
		},
		Peers: []conf.PeerStatus{
			{PublicKey: public(t, hexB), Name: "B", PresharedKey: preshared, Endpoint: netip.MustParseAddrPort("[fe80::1%eth0]:7"),
				EndpointName: "vpn.example.org:7", EndpointFailure: "vpn.example.org: no name server answers",
				PersistentKeepalive: 25, LastHandshake: time.Unix(1600000000, 123456789), RxBytes: 1<<64 - 1, TxBytes: 7, PathMTU: 1280, PathMTUSource: conf.PathMTUByProbe, Stamp: stamp(t), Lent: 1<<32 - 1,
				AllowedIPs:   []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("fd00::/64")},
				Observations: []conf.Observation{{Kind: conf.SendFailed, Count: 1, First: time.Unix(9, 0), Last: time.Unix(9, 0), Detail: "EPERM"}}},
			{PublicKey: public(t, hexC), Endpoint: netip.MustParseAddrPort("192.0.2.1:7"), LastHandshake: time.Unix(1, 0)},
		},
	}
}

// TestGetRoundTrip: the client reads the status that the daemon wrote.
func TestGetRoundTrip(t *testing.T) {
	for _, want := range []conf.Status{status(t), withheld(t), {}, {Tunables: conf.DefaultTunables()}} {
		var text bytes.Buffer
		if err := uapi.WriteStatus(bufio.NewWriter(&text), &want); err != nil {
			t.Fatal(err)
		}
		got, err := uapi.NewReader(iotest.OneByteReader(&text)).Status()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, got\n%+v\nwant\n%+v", err, got, want)
		}
	}
}

// TestGetIsWireguardTools: the answer to a get has exactly these lines, those of
// wireguard-tools and ours.
func TestGetIsWireguardTools(t *testing.T) {
	s := status(t)
	s.Drops = s.Drops[:1]
	var text bytes.Buffer
	uapi.WriteStatus(bufio.NewWriter(&text), &s)
	private, _ := key.ParsePrivateHex(hexA)
	want := "private_key=" + private.Hex() + `
listen_port=51820
fwmark=2147483648
mss_clamp=0
lent_limit=7
up=1
in_process=1
mtu=1420
fault=port 51820 is taken: choose another
aead=AVX2; AVX-512 failed its self-test
net.wg.rekey_after_messages=1152921504606846976
net.wg.rekey_after_time=120
net.wg.rekey_timeout=5
net.wg.rekey_attempt_time=90
net.wg.keepalive_timeout=10
net.wg.force_underload=0
net.wg.debug=0
net.wg.path_mtu_probes=1
drop=replay:3
counter=ecn-unmarked:18446744073709551615
observation=unknown-key 3 1 5 key=` + hexC + ` address=[fe80::1%eth0]:7
observation=no-peer 9223372036854775807 1 1 address=fd00::1
public_key=` + hexB + `
name=B
preshared_key=` + hexC + `
protocol_version=1
endpoint=[fe80::1%eth0]:7
endpoint_name=vpn.example.org:7
endpoint_failure=vpn.example.org: no name server answers
stamp=400000006b0cc41410000000
lent=4294967295
last_handshake_time_sec=1600000000
last_handshake_time_nsec=123456789
tx_bytes=7
rx_bytes=18446744073709551615
path_mtu=1280
path_mtu_source=probe
persistent_keepalive_interval=25
allowed_ip=0.0.0.0/0
allowed_ip=fd00::/64
observation=send-failed 1 9 9 detail=EPERM
public_key=` + hexC + `
preshared_key=` + strings.Repeat("0", 64) + `
protocol_version=1
endpoint=192.0.2.1:7
last_handshake_time_sec=1
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
errno=0

`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}

// TestSetRoundTrip: the daemon decodes the change that the client encoded.
func TestSetRoundTrip(t *testing.T) {
	for _, want := range []conf.Change{fullChange(t), {}} {
		var text bytes.Buffer
		if err := uapi.WriteChange(bufio.NewWriter(&text), &want); err != nil {
			t.Fatal(err)
		}
		request, err := uapi.NewDecoder(&text).Next()
		if err != nil || !reflect.DeepEqual(request.Change, want) {
			t.Errorf("%v, got\n%+v\nwant\n%+v", err, request.Change, want)
		}
	}
}

// A35: after a status or a change was written, no key is left in the writer's
// buffer.
func TestWriterErasesKeys(t *testing.T) {
	private, _ := key.ParsePrivateHex(hexA)
	st, change := status(t), conf.Change{PrivateKey: &private}
	for name, write := range map[string]func(*bufio.Writer) error{
		"status": func(w *bufio.Writer) error { return uapi.WriteStatus(w, &st) },
		"change": func(w *bufio.Writer) error { return uapi.WriteChange(w, &change) },
	} {
		var text bytes.Buffer
		w := bufio.NewWriter(&text)
		if err := write(w); err != nil || !strings.Contains(text.String(), hexA) {
			t.Fatalf("%s: error %v, or no key was written, so this test proves nothing", name, err)
		}
		if buf := w.AvailableBuffer(); len(bytes.Trim(buf[:cap(buf)], "\x00")) > 0 {
			t.Errorf("%s: the buffer was not erased", name)
		}
	}
}

// TestResult: errno precedes the sentence, because wg reads only the first line.
func TestResult(t *testing.T) {
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	uapi.WriteResult(w, uapi.EADDRINUSE, "port 5 is taken:\nchoose another")
	uapi.WriteResult(w, 0, "")
	if want := "errno=-98\nerror=port 5 is taken: choose another\n\nerrno=0\n\n"; text.String() != want {
		t.Fatalf("got %q, want %q", text.String(), want)
	}
	r := uapi.NewReader(&text)
	var refused *uapi.Error
	if err := r.Result(); !errors.As(err, &refused) || refused.Errno != uapi.EADDRINUSE || err.Error() != "port 5 is taken: choose another" {
		t.Errorf("first result: got %v, want EADDRINUSE with its sentence", err)
	}
	if err := r.Result(); err != nil {
		t.Errorf("second result: got %v, want none", err)
	}
	if err := r.Result(); err == nil {
		t.Error("Result at the end of the input: no error")
	}
}

// TestReaderOfOtherDaemons: missing and unknown keys are no errors; malformed
// lines are.
func TestReaderOfOtherDaemons(t *testing.T) {
	s, err := uapi.NewReader(strings.NewReader("future_key=1\npublic_key=" + hexB + "\nfuture=2\nallowed_ip=10.0.0.0/8\nerrno=0\n\n")).Status()
	if err != nil || len(s.Peers) != 1 || len(s.Peers[0].AllowedIPs) != 1 {
		t.Errorf("status with unknown keys: got %+v, %v", s, err)
	}
	for _, bad := range []string{"", "errno=0\n", "\n", "listen_port=70000\nerrno=0\n\n", "nonsense\nerrno=0\n\n", "errno=x\n\n",
		"drop=5\nerrno=0\n\n", "counter=5\nerrno=0\n\n", "counter=a:b\nerrno=0\n\n", "public_key=zz\nerrno=0\n\n", "public_key=" + hexB + "\nlast_handshake_time_sec=9999999999999999\nerrno=0\n\n"} {
		if s, err := uapi.NewReader(strings.NewReader(bad)).Status(); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, s)
		}
	}
}

// TestLarge: 10,000 peers and 130,560 prefixes are the same after encoding and
// decoding, which does not take minutes (B22, B60).
func TestLarge(t *testing.T) {
	const peers, prefixes = 10000, 130560
	var c conf.Change
	var s conf.Status
	for i := range peers {
		k := key.Public{byte(i), byte(i >> 8), 1}
		p := conf.PeerChange{PublicKey: k, Name: ptr(fmt.Sprint("peer-", i))}
		q := conf.PeerStatus{PublicKey: k, Name: *p.Name}
		for j := i * prefixes / peers; j < (i+1)*prefixes/peers; j++ {
			prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(j >> 16), byte(j >> 8), byte(j)}), 32)
			p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIPChange{Prefix: prefix})
			q.AllowedIPs = append(q.AllowedIPs, prefix)
		}
		c.Peers, s.Peers = append(c.Peers, p), append(s.Peers, q)
	}
	start := time.Now()
	r, w := io.Pipe()
	go func() { uapi.WriteChange(bufio.NewWriter(w), &c); w.Close() }()
	request, err := uapi.NewDecoder(r).Next()
	if err != nil || !reflect.DeepEqual(request.Change, c) {
		t.Fatalf("set: the decoded change differs: %v", err)
	}
	r, w = io.Pipe()
	go func() { uapi.WriteStatus(bufio.NewWriter(w), &s); w.Close() }()
	got, err := uapi.NewReader(r).Status()
	if err != nil || !reflect.DeepEqual(got.Peers, s.Peers) {
		t.Fatalf("get: the status read differs: %v", err)
	}
	if took := time.Since(start); took > 5*time.Minute {
		t.Errorf("took %v", took)
	}
}
