package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// reloadFile is the file of host b, in parts that tests edit.
type reloadFile struct {
	privateB, publicA    string
	address, more        string // of [Interface]
	allowed, endpoint, a string // of the peer A, and its further lines
	peers                string // further ones
}

func (f reloadFile) text() string {
	return "[Interface]\nPrivateKey = " + f.privateB + "\nListenPort = 1235\nAddress = " + f.address + "\n" + f.more +
		"\n[Peer]\n# Name = A\nPublicKey = " + f.publicA + "\nAllowedIPs = " + f.allowed + "\nEndpoint = " + f.endpoint + "\n" + f.a + f.peers
}

// reloadHosts returns two hosts with a tunnel that is up, and the file of b.
func reloadHosts(t *testing.T) (a, b *lab.Host, file reloadFile) {
	t.Helper()
	a, b = lab.Pair(t)
	privateA, publicA := keyPair(a)
	privateB, publicB := keyPair(b)
	writeServer(a, privateA, publicB, "10.2.0.2/32, 10.5.0.2/32, fd00:2::2/128")
	a.Must("ip addr add 198.18.0.1/32 dev lo && ip addr add 198.18.0.9/32 dev lo && wgd up wg0")
	b.Must("ip route add default via 192.0.2.1")
	file = reloadFile{privateB: privateB, publicA: publicA, address: "10.2.0.2/24, 10.5.0.2/32, fd00:2::2/64",
		allowed: "10.2.0.1/32, fd00:2::1/128, 198.18.0.9/32", endpoint: "198.18.0.1:1234"} // behind the default route
	b.Write("/etc/wireguard/wg0.conf", file.text())
	b.Must("wgd up wg0")
	b.Ping("10.2.0.1", 1)
	return a, b, file
}

// fakeResolvconf gives a host a resolvconf that has the last word about /etc/resolv.conf,
// and kills who calls it while there is /run/kill.
func fakeResolvconf(h *lab.Host) {
	h.Must("mount -t tmpfs none /usr/local/sbin && echo nameserver 192.0.2.53 > /etc/resolv.conf")
	h.Write("/usr/local/sbin/resolvconf", `#!/bin/sh
test -e /run/kill && kill -9 $PPID
case $1 in
-a) cat > /etc/resolv.conf ;;
-d) echo nameserver 192.0.2.53 > /etc/resolv.conf ;;
esac
`)
	h.Must("chmod 755 /usr/local/sbin/resolvconf")
}

// state is what reload changes, and what a fresh up must make the same.
func (f reloadFile) state(h *lab.Host) string {
	var peers []string
	for line := range strings.Lines(h.Must("wg show wg0 dump")) {
		fields := strings.Split(line, "\t")
		peers = append(peers, strings.Join(slices.Delete(fields, min(4, len(fields)), min(7, len(fields))), " "))
	}
	slices.Sort(peers)
	return h.System() + strings.Join(peers, "\n") + "\n" + h.Must("wgconfig wg0 show all | grep peer:") + h.Must("cat /etc/resolv.conf")
}

// reloadEdit is one edit of the file, and a part of the line that reload prints.
type reloadEdit struct {
	name string
	edit func(f *reloadFile)
	says []string
}

// After one edit each, reload makes the interface what a fresh up makes it, without one
// lost packet or handshake with a peer that is not affected. A second reload has nothing
// to do, and a dry run says the same and does nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	a, b, file := reloadHosts(t)
	fakeResolvconf(b)
	peerC := func(lines string) string {
		return "[Peer]\n# Name = C\nPublicKey = " + strings.Repeat("C", 42) + "A=\nAllowedIPs = 10.9.0.0/24\nEndpoint = 192.0.2.1:7\n" + lines
	}
	for i, e := range []reloadEdit{
		{"an address more", func(f *reloadFile) { f.address += ", 10.6.0.2/24" }, []string{"add the address 10.6.0.2/24"}},
		{"another address", func(f *reloadFile) { f.address = strings.Replace(f.address, "10.6.0.2/24", "10.7.0.2/16", 1) },
			[]string{"add the address 10.7.0.2/16", "remove the address 10.6.0.2/24"}},
		{"another prefix length", func(f *reloadFile) { f.address = strings.Replace(f.address, "fd00:2::2/64", "fd00:2::2/80", 1) },
			[]string{"add the address fd00:2::2/80", "remove the address fd00:2::2/64"}},
		{"DNS", func(f *reloadFile) { f.more = "DNS = 10.2.0.1, example.com\n" }, []string{"10.2.0.1"}},
		{"other DNS", func(f *reloadFile) { f.more = "DNS = 10.2.0.7\n" }, []string{"10.2.0.7"}},
		{"DNS gone", func(f *reloadFile) { f.more = "" }, []string{"10.2.0.7"}},
		{"MTU", func(f *reloadFile) { f.more += "MTU = 1380\n" }, []string{"set the MTU 1380"}},
		{"MTU gone", func(f *reloadFile) { f.more = "" }, []string{"set the MTU 1420"}},
		{"a peer more", func(f *reloadFile) { f.peers = peerC("") }, []string{"add the peer C", "add the route 10.9.0.0/24"}},
		{"a preshared key and a keepalive", func(f *reloadFile) {
			f.peers = peerC("PresharedKey = " + strings.Repeat("p", 42) + "A=\nPersistentKeepalive = 9\n")
		}, []string{"peer C: set the preshared key", "peer C: set the persistent keepalive 9"}},
		{"both gone", func(f *reloadFile) { f.peers = peerC("") }, []string{"peer C: remove the preshared key", "peer C: remove the persistent keepalive"}},
		{"Endpoint and name", func(f *reloadFile) {
			f.peers = strings.NewReplacer("192.0.2.1:7", "192.0.2.1:9", "Name = C", "Name = D").Replace(f.peers)
		},
			[]string{"peer C: set the endpoint 192.0.2.1:9", "peer C: set the name D"}},
		{"AllowedIPs", func(f *reloadFile) { f.peers = strings.Replace(f.peers, "10.9.0.0/24", "10.9.1.0/24, fd09::/48", 1) },
			[]string{"peer D: set the allowed IPs 10.9.1.0/24, fd09::/48", "add the route fd09::/48", "remove the route 10.9.0.0/24"}},
		{"a peer less", func(f *reloadFile) { f.peers = "" }, []string{"remove the peer D", "remove the route 10.9.1.0/24"}},
		{"two peers more", func(f *reloadFile) {
			f.peers = peerC("") + "[Peer]\n# Name = E\nPublicKey = " + strings.Repeat("E", 42) + "A=\nAllowedIPs = 10.10.0.0/24\n"
		}, []string{"add the peer C", "add the peer E"}},
		{"a prefix moves to a later peer", func(f *reloadFile) {
			f.peers = strings.NewReplacer("10.9.0.0/24", "10.11.0.0/24", "10.10.0.0/24", "10.10.0.0/24, 10.9.0.0/24").Replace(f.peers)
		}, []string{"peer E: set the allowed IPs 10.10.0.0/24, 10.9.0.0/24"}},
		{"a prefix moves to an earlier peer", func(f *reloadFile) {
			f.peers = strings.NewReplacer("10.11.0.0/24", "10.9.0.0/24", "10.10.0.0/24, 10.9.0.0/24", "10.12.0.0/24").Replace(f.peers)
		}, []string{"peer C: set the allowed IPs 10.9.0.0/24", "peer E: set the allowed IPs 10.12.0.0/24"}},
		{"two peers less", func(f *reloadFile) { f.peers = "" }, []string{"remove the peer C", "remove the peer E", "remove the route 10.9.0.0/24"}},
		{"a default route", func(f *reloadFile) { f.allowed = "0.0.0.0/0, ::/0" }, []string{"add the rule", "add the firewall table ip wgd-wg0", "set the firewall mark 0xca6c"}},
		{"FwMark", func(f *reloadFile) { f.more = "FwMark = 0x77\n" }, []string{"set the firewall mark 0x77", "add the route 0.0.0.0/0 to table 119"}},
		{"another FwMark", func(f *reloadFile) { f.more = "FwMark = 0x78\n" }, []string{"set the firewall mark 0x78"}},
		{"an address of the firewall", func(f *reloadFile) { f.address += ", 10.8.0.2/32" }, []string{"replace the firewall table ip wgd-wg0"}},
		{"FwMark gone", func(f *reloadFile) { f.more = "" }, []string{"set the firewall mark 0xca6c"}},
		{"Table", func(f *reloadFile) { f.more = "Table = 99\n" }, []string{"remove the firewall mark", "add the route 0.0.0.0/0 to table 99", "remove the rule"}},
		{"another Table", func(f *reloadFile) { f.more = "Table = 98\n" }, []string{"add the route 0.0.0.0/0 to table 98", "remove the route 0.0.0.0/0 from table 99"}},
		{"Table off", func(f *reloadFile) { f.more = "Table = off\n" }, []string{"remove the route 0.0.0.0/0 from table 98"}},
		{"everything", func(f *reloadFile) {
			f.more, f.allowed, f.address, f.peers = "MTU = 1400\n", "10.2.0.1/32, 198.18.0.8/29", "10.2.0.2/24, 10.6.0.9/24, 10.5.0.2/32", peerC("")
		}, []string{"add the route 198.18.0.8/29"}},
	} {
		e.edit(&file)
		b.Write("/etc/wireguard/wg0.conf", file.text())
		reloadOnce(t, a, b, file, e, 4000+2*i)
	}
}

// reloadOnce reloads a file that was edited. The flows have two ports of their own.
func reloadOnce(t *testing.T, a, b *lab.Host, file reloadFile, e reloadEdit, port int) {
	t.Helper()
	before := file.state(b)
	dry := b.Must("wgd reload --dry-run wg0")
	lab.Unchanged(t, e.name+": a dry run", before, file.state(b))

	wire := b.Watch("eth0")
	ports := []int{a.Collect(port), b.Collect(port + 1)}
	flows := []int{
		b.StartFlow(lab.Flow{Local: "10.2.0.2", Remote: addrPort(netJoin("10.2.0.1", port)), Size: 64, Interval: time.Millisecond}),
		a.StartFlow(lab.Flow{Remote: addrPort(netJoin("10.2.0.2", port+1)), Size: 64, Interval: time.Millisecond}),
	}
	time.Sleep(50 * time.Millisecond)
	did := b.Must("wgd reload wg0")
	time.Sleep(50 * time.Millisecond)
	sent := []lab.FlowResult{b.StopFlow(flows[0]), a.StopFlow(flows[1])}
	time.Sleep(100 * time.Millisecond)
	for i, h := range []*lab.Host{a, b} {
		if got := summarize(h, ports[i], sent[i]); got.Lost > 0 || got.Twice > 0 || len(sent[i].Errors) > 0 {
			t.Errorf("%s: flow %d: %d sent, errors %v; %v", e.name, i, sent[i].Sent, sent[i].Errors, got)
		}
	}
	packets := some(t, b.Watched(wire))
	for _, p := range slices.Concat(messages(packets, initiation, true), messages(packets, initiation, false)) {
		if p.Src.Port() == 1234 || p.Dst.Port() == 1234 {
			t.Errorf("%s: a handshake: %v", e.name, p)
		}
	}
	for _, p := range packets {
		if to := int(p.Dst.Port()); to == port || to == port+1 {
			t.Errorf("%s: a datagram outside the tunnel: %v", e.name, p)
			break
		}
	}
	if want := strings.ReplaceAll(dry, "wg0: would ", "wg0: "); did != want {
		t.Errorf("%s: reload says\n%sthe dry run\n%s", e.name, did, dry)
	}
	for _, words := range e.says {
		if !strings.Contains(did, words) {
			t.Errorf("%s: no %q in\n%s", e.name, words, did)
		}
	}
	if again := b.Must("wgd reload wg0"); !strings.Contains(again, "nothing to do") {
		t.Errorf("%s: a second reload: %s", e.name, again)
	}
	reloaded := file.state(b)
	b.Must("wgd down wg0 && wgd up wg0")
	lab.Unchanged(t, e.name+": reload and a fresh up", file.state(b), reloaded)
	b.Ping("10.2.0.1", 1)
}

// A reload never resets what hooks have set, and what it cannot do leaves everything as it
// was.
func TestReloadKeepsAndRefuses(t *testing.T) {
	t.Parallel()
	_, b, file := reloadHosts(t)
	b.Fails(1, "wgd reload wg1", "/etc/wireguard/wg1.conf", "no such file")
	b.Must("wgd down wg0")
	b.Fails(1, "wgd reload wg0", "not up")
	private := file.privateB
	text := strings.NewReplacer("PrivateKey = "+private+"\n", "", "ListenPort = 1235\n", "").Replace(file.text())
	hooks := "PostUp = wg set %i fwmark 7 listen-port 1239 peer " + file.publicA + " persistent-keepalive 11\nPostUp = echo " + private + " | wg set %i private-key /dev/stdin\n"
	b.Write("/etc/wireguard/wg0.conf", strings.Replace(text, "[Peer]", hooks+"[Peer]", 1))
	b.Must("wgd up wg0")
	before := file.state(b)
	contains(t, b.Must("wgd reload wg0"), "nothing to do")
	lab.Unchanged(t, "a reload with hooks", before, file.state(b))

	// A route that is there keeps the third action from being done; and a file with errors.
	b.Must("ip route add 10.66.0.0/16 dev eth0")
	bad := strings.NewReplacer("[Peer]", hooks+"[Peer]", "198.18.0.9/32", "10.66.0.0/16", "10.5.0.2/32", "10.5.0.3/32").Replace(text)
	b.Write("/etc/wireguard/wg0.conf", bad)
	before = file.state(b)
	b.Fails(1, "wgd reload wg0", "10.66.0.0/16", "it is there already", "nothing is changed")
	lab.Unchanged(t, "a reload that failed", before, file.state(b))
	b.Write("/etc/wireguard/wg0.conf", bad+"Keepalive = 3\n")
	b.Fails(1, "wgd reload wg0", "/etc/wireguard/wg0.conf:")
	lab.Unchanged(t, "a file with an error", before, file.state(b))
	b.Write("/etc/wireguard/wg0.conf", file.text())
	b.Must("wgd down wg0 && wg-ifconfig wg0 create")
	b.Fails(1, "wgd reload wg0", "did not bring this interface up")
}

// Wherever reload is killed, another one makes the interface what a fresh up makes it, and
// down restores what was before.
func TestReloadKilled(t *testing.T) {
	t.Parallel()
	_, b, file := reloadHosts(t)
	b.Must("wgd down wg0")
	before := b.System()
	next := file
	fakeResolvconf(b)
	next.more, next.allowed, next.address = "FwMark = 0x77\nMTU = 1390\nDNS = 10.2.0.1\n", "0.0.0.0/0, ::/0", "10.5.0.2/32, 10.2.0.2/24"
	b.Write("/etc/wireguard/wg0.conf", next.text())
	b.Must("wgd up wg0")
	fresh := next.state(b)
	b.Must("wgd down wg0")
	file.allowed = "0.0.0.0/0"
	for _, after := range []string{"add the address 10.2.0.2", "firewall table ip6", "mark 0x77", "to table 119", "remove the rule", ""} {
		b.Write("/etc/wireguard/wg0.conf", file.text())
		b.Must("wgd up wg0")
		b.Write("/etc/wireguard/wg0.conf", next.text())
		if after == "" { // surely: by resolvconf, at the end
			b.Must("touch /run/kill")
			if r := b.Run("wgd reload wg0"); r.Code != 137 {
				t.Errorf("reload was not killed: exit status %d: %s", r.Code, r.Err)
			}
			b.Must("rm /run/kill")
		} else {
			b.Must(`mkfifo -m 600 /run/notes; { wgd reload -v wg0 2> /run/notes & echo $! > /run/pid; }; exec 3< /run/notes
while read -r line <&3; do case $line in *'%s'*) kill -9 $(cat /run/pid); break;; esac; done; exec 3<&-; rm /run/notes`, after)
		}
		b.Must("wgd reload wg0")
		lab.Unchanged(t, "killed after "+after+", and another reload", fresh, next.state(b))
		b.Must("wgd down wg0")
		lab.Unchanged(t, "killed after "+after+", and down", before, b.System())
	}
}

// A reload makes the firewall of the tunnel what it should be again, after another program
// has changed or removed it.
func TestReloadRestoresFirewall(t *testing.T) {
	t.Parallel()
	_, b, file := reloadHosts(t)
	file.allowed = "0.0.0.0/0, ::/0"
	b.Write("/etc/wireguard/wg0.conf", file.text())
	b.Must("wgd reload wg0")
	contains(t, b.Must("wgd reload wg0"), "nothing to do")
	const tables = "nft --stateless list table ip wgd-wg0; nft --stateless list table ip6 wgd-wg0"
	rules := b.Must(tables)
	for _, script := range []string{"flush chain ip wgd-wg0 preraw", "add rule ip6 wgd-wg0 premangle accept", "delete table ip wgd-wg0"} {
		b.Must("nft '%s'", script)
		contains(t, b.Must("wgd reload wg0"), "the firewall table ip")
		lab.Unchanged(t, script, rules, b.Must(tables))
		contains(t, b.Must("wgd reload wg0"), "nothing to do")
	}
}
