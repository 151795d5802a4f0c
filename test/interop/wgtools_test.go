package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Fatalf("no %q in:\n%s", want, text)
		}
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func newKey(h *lab.Host) (private, public string) {
	private = strings.TrimSpace(h.Must("wg genkey"))
	return private, strings.TrimSpace(h.Must("echo %s | wg pubkey", private))
}

// wg-keygen and wg derive the same public keys, from keys of both.
func TestKeys(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for range 20 {
		r := strings.Fields(h.Must("k=$(wg-keygen); echo $k | wg pubkey; echo $k | wg-keygen --pub; k=$(wg genkey); echo $k | wg pubkey; printf %%s $k | wg-keygen --pub"))
		if len(r) != 4 || r[0] != r[1] || r[2] != r[3] {
			t.Fatalf("public keys differ: %v", r)
		}
	}
}

// `wg show` prints what `wg set` has set. // A53, A57, A59
func TestWgSetAndShow(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wgd wg0")
	private, public := newKey(h)
	_, p1 := newKey(h)
	_, p2 := newKey(h)
	psk := strings.TrimSpace(h.Must("wg genpsk"))
	h.Write("/etc/wg/k", private+"\n")
	h.Write("/etc/wg/psk", psk+"\n")
	h.Must("wg set wg0 private-key /etc/wg/k listen-port 4242 fwmark 0x10 peer %s preshared-key /etc/wg/psk endpoint 192.0.2.7:5 persistent-keepalive 21 allowed-ips 10.7.0.0/16,fd07::/48,0.0.0.0/0 peer %s endpoint '[2001:db8::9]:99' allowed-ips 10.7.7.7/24", p1, p2)
	same(t, h.Must("wg show wg0 dump"), fmt.Sprintf("%s\t%s\t4242\t0x10\n%s\t%s\t192.0.2.7:5\t%s\t0\t0\t0\t21\n%s\t(none)\t[2001:db8::9]:99\t10.7.7.0/24\t0\t0\t0\toff\n",
		private, public, p1, psk, strings.Join(allowed(h, p1), ","), p2))
	if got := sortedLines(strings.Join(allowed(h, p1), "\n")); got != sortedLines("10.7.0.0/16\nfd07::/48\n0.0.0.0/0") {
		t.Errorf("the allowed IPs are %q", got)
	}
	same(t, h.Must("wg show interfaces"), "wg0\n")
	same(t, h.Must("wg show wg0 listen-port"), "4242\n")

	// Changes, one at a time.
	h.Must("wg set wg0 peer %s persistent-keepalive off", p1)
	h.Must("wg set wg0 peer %s preshared-key /dev/null", p1)
	h.Must("wg set wg0 fwmark 0")
	h.Must("wg set wg0 peer %s allowed-ips ''", p2)
	h.Must("wg set wg0 peer %s allowed-ips 10.7.0.0/16", p2) // A50: from p1
	contains(t, h.Must("wg show wg0 persistent-keepalive"), p1+"\toff")
	contains(t, h.Must("wg show wg0 preshared-keys"), p1+"\t(none)")
	same(t, h.Must("wg show wg0 fwmark"), "off\n")
	same(t, strings.Join(allowed(h, p2), " "), "10.7.0.0/16")
	if strings.Contains(strings.Join(allowed(h, p1), " "), "10.7.0.0/16") {
		t.Error("two peers have the same allowed IP")
	}
	h.Must("wg set wg0 peer %s remove", p1)
	same(t, h.Must("wg show wg0 peers"), p2+"\n")
	h.Must("wg set wg0 peer %s allowed-ips 0.0.0.0/0,10.0.0.0/8", p2)
	h.Must("wg set wg0 peer %s allowed-ips ::ffff:0:0/96,::ffff:10.0.0.9/104", p1) // mapped prefixes are IPv6 ones: p2 loses nothing
	same(t, strings.Join(allowed(h, p1), " "), "::ffff:0.0.0.0/96 ::ffff:10.0.0.0/104")
	same(t, strings.Join(allowed(h, p2), " "), "0.0.0.0/0 10.0.0.0/8")
	h.Must("wg set wg0 peer %s remove", p1)
	h.Must("wg set wg0 private-key /dev/null")
	same(t, h.Must("wg show wg0 public-key"), "(none)\n")

	// Wrong values are refused.
	for _, line := range []string{
		"wg set wg1 listen-port 5",
		"wg set wg0 peer nokey",
		"wg set wg0 peer " + p2 + " allowed-ips 10.0.0.0/33",
	} {
		if r := h.Run(line); r.Code == 0 {
			t.Errorf("%s: succeeds", line)
		}
	}
}

func allowed(h *lab.Host, public string) []string {
	for _, line := range strings.Split(h.Must("wg show wg0 allowed-ips"), "\n") {
		if f := strings.Split(line, "\t"); f[0] == public {
			if f[1] == "(none)" {
				return nil
			}
			return strings.Fields(f[1])
		}
	}
	return nil
}

func sortedLines(text string) string {
	lines := strings.Fields(text)
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, " ")
}

// setconf replaces the configuration, addconf adds to it, syncconf changes it
// without interrupting sessions, and showconf prints what setconf accepts. Peers keep
// their names. // A59, B23
func TestWgConf(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	b.Ping(lab.InnerA4, 1)
	before := ta.Peer(tb)

	conf := a.Must("wg showconf wg0")
	contains(t, conf, "[Interface]", "ListenPort = 1234", "PrivateKey = ", "PublicKey = "+tb.Public, "Endpoint = 192.0.2.2:1235")
	_, other := newKey(a)
	a.Write("/etc/wireguard/more", "[Peer]\nPublicKey = "+other+"\nAllowedIPs = 10.9.0.0/16\n")
	a.Must("wg addconf wg0 /etc/wireguard/more")
	contains(t, a.Must("wg show wg0 peers"), tb.Public, other)

	a.Write("/etc/wireguard/sync", conf+"PersistentKeepalive = 33\n")
	a.Must("wg syncconf wg0 /etc/wireguard/sync")
	same(t, a.Must("wg show wg0 peers"), tb.Public+"\n")
	after := ta.Peer(tb)
	if after.Keepalive != "33" || !after.Handshake.Equal(before.Handshake) || after.Rx < before.Rx {
		t.Errorf("after syncconf: %+v, before: %+v", after, before)
	}
	contains(t, a.Must("wgconfig wg0 show peer b"), tb.Public)
	a.Ping(lab.InnerB4, 1)

	a.Write("/etc/wireguard/set", conf)
	a.Must("wg setconf wg0 /etc/wireguard/set")
	same(t, a.Must("wg showconf wg0"), conf)
	contains(t, a.Must("wgconfig wg0 show peer b"), tb.Public)
	b.PingWithin(20*time.Second, lab.InnerA4)

	// A peer that wg added has the first digits of its key as a name until it gets one.
	a.Must("wg addconf wg0 /etc/wireguard/more")
	hex := strings.TrimSpace(a.Must("echo %s | base64 -d | od -An -tx1 | tr -d ' \\n' | cut -c1-8", other))
	contains(t, a.Must("wgconfig wg0 show peer %s", hex), other)
	a.Must("wgconfig wg0 set peer %s --rename=other", hex)
	contains(t, a.Must("wgconfig wg0"), "peer: other")
}

// The control socket answers requests: get, set, errno, unknown keys, and lines that
// arrive in pieces. // A59, B54
func TestSocketByHand(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wgd wg0")
	_, public := newKey(h)
	hex := strings.TrimSpace(h.Must("echo %s | base64 -d | od -An -tx1 | tr -d ' \\n'", public))
	say := func(text string) string {
		conn, err := dialHost(h, "/run/wireguard/wg0.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		for i := range text { // one byte at a time
			if _, err := conn.Write([]byte{text[i]}); err != nil {
				t.Fatal(err)
			}
		}
		return readAnswer(t, conn)
	}
	contains(t, say("get=1\n\n"), "errno=0\n\n")
	contains(t, say("set=1\npublic_key="+hex+"\nendpoint=192.0.2.1:5\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\nprotocol_version=1\n\n"), "errno=0\n\n")
	contains(t, say("get=1\n\n"), "public_key="+hex+"\n", "endpoint=192.0.2.1:5\n", "allowed_ip=10.0.0.0/8\n", "protocol_version=1\n", "persistent_keepalive_interval=0\n",
		"last_handshake_time_sec=0\n", "last_handshake_time_nsec=0\n", "rx_bytes=0\n", "tx_bytes=0\n")
	contains(t, say("set=1\npublic_key="+hex+"\nallowed_ip=-10.0.0.0/8\nallowed_ip=11.0.0.0/8\n\n"), "errno=0\n\n")
	got := say("get=1\n\n")
	contains(t, got, "allowed_ip=11.0.0.0/8\n")
	if strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("allowed_ip=- does not remove the allowed IP:\n%s", got)
	}
	for _, bad := range []string{
		"set=1\nno_such_key=1\n\n", "set=1\nlisten_port=99999\n\n", "set=1\nlisten_port=\n\n",
		"set=1\npublic_key=" + hex + "\nallowed_ip=10.0.0.0/8\nnonsense=1\n\n",
		"set=1\npublic_key=" + hex[:60] + "\n\n", "set=1\nendpoint=192.0.2.1:5\n\n", "set=1\nlisten_port\n\n",
	} {
		if got := say(bad); strings.Contains(got, "errno=0\n") || !strings.Contains(got, "errno=-") {
			t.Errorf("the answer to %q is %q, want an errno that is not 0", bad, got)
		}
	}
	if got := say("get=1\n\n"); strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("a refused request was partly applied:\n%s", got)
	}
	_, unknown := newKey(h)
	hex2 := strings.TrimSpace(h.Must("echo %s | base64 -d | od -An -tx1 | tr -d ' \\n'", unknown))
	contains(t, say("set=1\npublic_key="+hex2+"\nupdate_only=true\nallowed_ip=12.0.0.0/8\n\n"), "errno=0")
	if got := say("get=1\n\n"); strings.Contains(got, hex2) {
		t.Error("update_only created a peer")
	}
	contains(t, say("set=1\nreplace_peers=true\n\n"), "errno=0\n\n")
	if got := say("get=1\n\n"); strings.Contains(got, hex) {
		t.Error("replace_peers kept a peer")
	}
}
