package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/explain"
	"wgd/test/lab"
)

// explains waits until wgd explain on a host says all of that, for which it is called
// with these arguments, and gives a cause, in text and in JSON. "" is no cause.
func explains(t *testing.T, h *lab.Host, args string, cause explain.Cause, want ...string) {
	t.Helper()
	lab.Until(t, 20*time.Second, fmt.Sprintf("wgd explain %s on host %s says %s: %q", args, h.Name, cause, want), func() (bool, string) {
		text := h.Must("wgd explain %s", args)
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false, text
			}
		}
		var list []explain.Interface
		if err := json.Unmarshal([]byte(h.Must("wgd explain --json %s", args)), &list); err != nil {
			t.Fatal(err)
		}
		return cause == "" && !strings.Contains(text, "cause:") || gives(list, cause), text
	})
}

// gives reports whether a cause is among the reasons.
func gives(list []explain.Interface, cause explain.Cause) bool {
	is := func(r explain.Reason) bool { return r.Cause == cause && r.Text != "" && r.Remedy != "" }
	for _, i := range list {
		if slices.ContainsFunc(i.Reasons, is) || slices.ContainsFunc(i.Peers, func(p explain.Peer) bool { return slices.ContainsFunc(p.Reasons, is) }) {
			return true
		}
	}
	return false
}

// Each cause has a test here that provokes it on simulated hosts and reads the sentence.
func TestEachCauseIsProvoked(t *testing.T) {
	causes, used := map[string]bool{}, map[string]bool{}
	parse := func(name string, visit func(ast.Node) bool) {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, visit)
	}
	parse("../../internal/explain/causes.go", func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Cause" {
				causes[v.Names[0].Name] = true
			}
		}
		return true
	})
	files, _ := filepath.Glob("*_test.go")
	for _, file := range files {
		parse(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "explains" && len(call.Args) > 4 {
				if cause, ok := call.Args[3].(*ast.SelectorExpr); ok {
					used[cause.Sel.Name] = true
				}
			}
			return true
		})
	}
	if len(causes) < 20 {
		t.Fatalf("%d causes were found in causes.go", len(causes))
	}
	for cause := range causes {
		if !used[cause] {
			t.Errorf("no test calls explains with explain.%s and a sentence", cause)
		}
	}
}

// hasty makes handshakes of a host be retried each second.
func hasty(h *lab.Host) { h.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=1") }

// strangers makes two tunnels that do not know each other.
func strangers(t *testing.T) (a, b *lab.Host, ta, tb *lab.Tunnel) {
	t.Helper()
	a, b = lab.Pair(t)
	ta = a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	tb = b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{lab.InnerB4 + "/24"}})
	hasty(b)
	return a, b, ta, tb
}

// From an interface without peers to one that works, wgd explain says at each step what
// is missing, or where to look. An unknown key and a wrong public key can be seen at the
// responder only.
func TestExplainKeys(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := strangers(t)
	explains(t, b, "", "", "wg0: the interface is up, on UDP port 1235, and has no peers")

	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32"})
	explains(t, b, "wg0 a", explain.NoEndpoint, "never used", "no endpoint is known", "wgconfig wg0 set peer a --endpoint=")
	b.Must("wgconfig wg0 set peer a --endpoint=192.0.2.1:1234")
	explains(t, b, "wg0 a", explain.NoTraffic, "never used", "a handshake begins with the first packet", "--persistent-keepalive")

	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.NoAnswer, "without success since", "nothing comes back from 192.0.2.1:1234", "run wgd explain at the peer", tb.Public)
	explains(t, a, "wg0", explain.UnknownKey, "from 192.0.2.2:1235 with the public key "+tb.Public+", which no peer here has")

	_, other := keyPair(b)
	b.Must("wgconfig wg0 delete peer a && wgconfig wg0 add peer a %s --endpoint=192.0.2.1:1234 --allowed-ips=%s/32", other, lab.InnerA4)
	ta.Add(tb, lab.Peer{AllowedIPs: lab.InnerB4 + "/32"})
	b.NoPing(lab.InnerA4)
	explains(t, a, "wg0", explain.WrongPublicKey, "from 192.0.2.2:1235 that were made for another public key than that of wg0", "set the public key of this interface: "+ta.Public)
	explains(t, b, "wg0 a", explain.NoAnswer, "nothing comes back from 192.0.2.1:1234")

	b.Must("wgconfig wg0 delete peer a")
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:1234"})
	b.Ping(lab.InnerA4, 1)
	explains(t, b, "wg0 a", "", "works: the last handshake was")
	for _, h := range []*lab.Host{a, b} {
		if text := h.Must("wgd explain"); strings.Contains(text, "cause:") {
			t.Errorf("host %s works, and wgd explain says:\n%s", h.Name, text)
		}
	}
	b.Fails(1, "wgd explain wg0 x", "no such peer")
	b.Fails(1, "wgd explain wg7", "no such interface")
}

// The preshared keys differ: the initiator can tell, and the responder knows that its
// answers are not confirmed. The JSON has the same.
func TestExplainPresharedKey(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	hasty(b)
	b.Must("umask 077; wg-keygen --psk > /etc/wg/psk; wgconfig wg0 set peer a --preshared-key=/etc/wg/psk")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.PresharedKey, "the peer answers from 192.0.2.1:1234, but its answers do not authenticate", "preshared keys")
	explains(t, a, "wg0 b", explain.NotConfirmed, "the peer uses none: it does not receive them, or the preshared keys differ")
	contains(t, b.Must("wgconfig wg0 show peer a"), "\tcause: the peer answers from 192.0.2.1:1234, but its answers do not authenticate")
	var list []struct {
		Works bool
		Peers []struct {
			Name, State string
			Reasons     []struct{ Cause, Text, Remedy string }
		}
	}
	if err := json.Unmarshal([]byte(b.Must("wgd explain --json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || !list[0].Works || len(list[0].Peers) != 1 || list[0].Peers[0].State != "trying" ||
		len(list[0].Peers[0].Reasons) != 1 || list[0].Peers[0].Reasons[0].Cause != "preshared-key" {
		t.Errorf("the JSON says %+v", list)
	}
}

// This host's own firewall refuses, and then there is no route to the endpoint.
func TestExplainSendErrors(t *testing.T) {
	t.Parallel()
	_, b, _, _ := pair(t)
	hasty(b)
	// There is no moment without an obstacle, in which a handshake would complete.
	b.Must("nft 'add table inet f; add chain inet f out { type filter hook output priority 0; }; add rule inet f out udp dport 1234 drop'")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.Firewall, "this host's own firewall refuses to send to 192.0.2.1:1234 (EPERM)", "UDP from port 1235")
	b.Must("ip addr del 192.0.2.2/24 dev eth0 && nft delete table inet f")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.NoOuterRoute, "this host has no way to the endpoint 192.0.2.1:1234 (ENETUNREACH)")
	if text := b.Must("wgd explain wg0 a"); strings.Contains(text, "as the network reports") {
		t.Errorf("no network has reported anything, and wgd explain says:\n%s", text)
	}
	b.Must("ip route add blackhole 192.0.2.1 && ip addr add 192.0.2.2/24 dev eth0")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.SendError, "the system refuses to send to 192.0.2.1:1234 (EINVAL)", "blackhole")
	b.Must("ip route replace prohibit 192.0.2.1")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.Firewall, "this host does not permit sending to 192.0.2.1:1234 (EACCES)", "ip route get 192.0.2.1")
}

// Nobody listens on the port of the endpoint, and then a firewall rejects the datagrams:
// ICMP says so.
func TestExplainICMP(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	hasty(b)
	a.Must("wg-ifconfig wg0 down")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.Unreachable, "nobody listens at 192.0.2.1:1234 (ICMP port unreachable")
	a.Must("nft 'add table inet f; add chain inet f in { type filter hook input priority 0; }; add rule inet f in udp dport 1234 reject with icmp type host-unreachable'")
	explains(t, b, "wg0 a", explain.Unreachable, "192.0.2.1:1234 cannot be reached, as the network reports (EHOSTUNREACH")
}

// The peer has accepted a timestamp that is an hour ahead of b's clock. Only the peer
// can tell.
func TestExplainClock(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	tb := b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{lab.InnerB4 + "/24"}})
	hasty(b)
	public, err := base64.StdEncoding.DecodeString(tb.Public)
	if err != nil {
		t.Fatal(err)
	}
	const received = 2
	writeStamp(t, a, "/var/lib/wgd/wg0.stamps", received, public)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	ta.Add(tb, lab.Peer{AllowedIPs: lab.InnerB4 + "/32"})
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:1234"})
	b.NoPing(lab.InnerA4)
	explains(t, a, "wg0 b", explain.ClockBack, "from 192.0.2.2:1235 had a timestamp that is not newer", "the clock of the peer went back")
	explains(t, b, "wg0 a", explain.NoAnswer, "nothing comes back", "run wgd explain at the peer")
}

// A NAT gives each datagram another port, so no cookie is ever right.
func TestExplainCookieLoop(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	hasty(b)
	a.Must("wgconfig wg0 sysctl -w net.wg.force_underload=1")
	a.Must("nft 'add table ip f; add chain ip f in { type filter hook prerouting priority -300; }; add chain ip f out { type filter hook output priority -300; };" +
		"add rule ip f in udp dport 1234 notrack udp sport set numgen inc mod 4 map { 0 : 20000, 1 : 20001, 2 : 20002, 3 : 20003 }; add rule ip f out udp sport 1234 notrack udp dport set 1235'")
	b.NoPing(lab.InnerA4)
	explains(t, b, "wg0 a", explain.CookieLoop, "the peer is under load and asks for a cookie each time", "a NAT on the path changes our address or port")
}

// What is wrong inside the tunnel: the inner source is not allowed, or belongs to
// another peer; no peer has a destination; and two peers were given the same prefix.
func TestExplainInside(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	_, other := keyPair(a)
	a.Must("wgconfig wg0 add peer c %s --allowed-ips=10.3.0.0/24", other)
	b.Must("ip addr add 10.9.0.7/32 dev wg0; ping -n -c 1 -W 1 -I 10.9.0.7 %s || true", lab.InnerA4)
	explains(t, a, "wg0 b", explain.SourceRefused, "works", "sends from the inner address 10.9.0.7, which is not in its allowed IPs here", "add 10.9.0.7/32")
	b.Must("ip addr add 10.3.0.7/32 dev wg0; ping -n -c 1 -W 1 -I 10.3.0.7 %s || true", lab.InnerA4)
	explains(t, a, "wg0 b", explain.SourceOfAnother, "sends from the inner address 10.3.0.7, which belongs to peer c here")

	b.Must("ip route add 10.66.0.0/24 dev wg0; ping -n -c 1 -W 1 10.66.0.1 || true")
	explains(t, b, "wg0", explain.NoPeerFor, "packets to 10.66.0.1 are routed into wg0, but no peer has this address")

	a.Must("ip route add 10.3.0.0/24 via 192.0.2.2")
	explains(t, a, "wg0 c", explain.NotRouted, "packets to the allowed IPs 10.3.0.0/24 are routed to eth0, not to wg0")
	a.Must("ip route del 10.3.0.0/24; wg-ifconfig wg0 inet 10.3.0.1/24")
	if text := a.Must("wgd explain wg0 c"); strings.Contains(text, "routed") {
		t.Errorf("our own address in the network of c is taken for a wrong route:\n%s", text)
	}

	a.Must("wgconfig wg0 set peer c --allowed-ips=%s/32", lab.InnerB4)
	explains(t, a, "wg0 b", explain.AllowedIPsTaken, "the allowed IP "+lab.InnerB4+"/32 was given to peer c as well")
}

// The host's own settings: the MTU of the path, and a port that another program has.
func TestExplainHost(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	b.Must("ip link set eth0 mtu 1400")
	explains(t, b, "wg0 a", explain.MTUTooLarge, "the MTU of wg0, 1420, is too large for the path to 192.0.2.1, which carries packets of 1400 bytes", "wg-ifconfig wg0 mtu 1340")

	a.Must("wg-ifconfig wg0 down && wgconfig wg0 set listen-port 7")
	explains(t, a, "wg0", explain.InterfaceDown, "the interface is down", "wg-ifconfig wg0 up")
	a.Echo() // on port 7
	a.Fails(1, "wg-ifconfig wg0 up", "taken")
	explains(t, a, "wg0", explain.PortTaken, "another program has UDP port 7", "ss -lunp")
	contains(t, a.Must("wgconfig wg0 show peer b"), "\tcause: another program has UDP port 7\n")

	b.Must("wgconfig wg0 set private-key /dev/null")
	explains(t, b, "wg0", explain.NoPrivateKey, "the interface has no private key", "wgconfig wg0 set private-key FILE")
	_, other := keyPair(b)
	b.Must("wgconfig wg0 set private-key /etc/wg/wg0 && wgconfig wg0 add peer c %s --endpoint=192.0.2.1:9", other)
	explains(t, b, "wg0 c", explain.NoAllowedIPs, "the peer has no allowed IPs", "wgconfig wg0 set peer c --allowed-ips=")
}

// A port that this process may not use.
func TestExplainFailure(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Tunnel(lab.Settings{Wrapper: "setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service", Port: 7, Down: true})
	h.Fails(1, "wg-ifconfig wg0 up", "no permission for UDP port 7")
	explains(t, h, "wg0", explain.InterfaceFailure, "the interface is up but does not work", "no permission for UDP port 7", "wg-ifconfig wg0 down up")
}

// What other programs did to a default route: its rules are gone, its mark is off, or
// strict reverse path filtering does not look at marks.
func TestExplainDefaultRoute(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	a.Must("wgd up wg0")
	b.Must("wgd up wg0")
	b.Ping("198.18.0.9", 1)
	if text := b.Must("wgd explain wg0"); strings.Contains(text, "cause:") {
		t.Errorf("the tunnel works, and wgd explain says:\n%s", text)
	}
	b.Must("sysctl -qw net.ipv4.conf.all.src_valid_mark=0 net.ipv4.conf.eth0.rp_filter=1")
	explains(t, b, "wg0", explain.ReverseFilter, "strict reverse path filtering on eth0 (rp_filter=1) drops the answers", "src_valid_mark=1")
	contains(t, b.Must("wgconfig wg0 show peer A"), "\tcause: strict reverse path filtering on eth0")
	b.Must("sysctl -qw net.ipv4.conf.all.src_valid_mark=1 && wgconfig wg0 set fwmark 0")
	explains(t, b, "wg0", explain.MarkOff, "let packets with the mark 0xca6c pass by the tunnel, but wg0 marks its own with 0x0", "wgconfig wg0 set fwmark 0xca6c")
	contains(t, b.Must("wgconfig wg0 show peer A --json"), `"cause": "mark-off"`)
	explains(t, b, "wg0 A", explain.EndpointInside, "the endpoint 198.18.0.1 is itself routed into wg0")
	b.Must("wgconfig wg0 set fwmark 0xca6c && ip rule del not fwmark 0xca6c lookup 51820")
	explains(t, b, "wg0", explain.RulesGone, "is gone: packets are not led into wg0", "wgd reload wg0 adds it again", "ManageForeignRoutingPolicyRules=no")
	contains(t, b.Must("wgconfig wg0 --json"), `"cause": "policy-rules-gone"`)

	b.Must("wgd reload wg0")
	explains(t, b, "wg0", "", "wg0: the interface is up")
	b.Ping("198.18.0.9", 1)

	b.Must("wg-ifconfig wg0 down up")
	explains(t, b, "wg0", explain.RoutesGone, "2 routes that wgd up added are gone", "0.0.0.0/0 dev wg0 table 51820", "wgd reload wg0")
	b.Must("wgd reload wg0")
	b.Ping("198.18.0.9", 1)
	explains(t, b, "wg0", "", "works")
}
