package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// keyPair makes a pair of keys.
func keyPair(h *lab.Host) (private, public string) {
	f := strings.Fields(h.Must("k=$(wg-keygen); echo $k; echo $k | wg-keygen --pub"))
	return f[0], f[1]
}

// writeServer writes the file of a tunnel in which a waits for its peer B.
func writeServer(a *lab.Host, privateA, publicB, allowed string) {
	a.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privateA+`
ListenPort = 1234
Address = 10.2.0.1/24, fd00:2::1/64
[Peer]
# Name = B
PublicKey = `+publicB+`
AllowedIPs = `+allowed+`
`)
}

// upFiles writes the files of two tunnels: that of b leads everything to a, whose endpoint
// is behind b's own default route. more are further lines of b's [Interface].
func upFiles(a, b *lab.Host, more string) {
	privateA, publicA := keyPair(a)
	privateB, publicB := keyPair(b)
	writeServer(a, privateA, publicB, "10.2.0.2/32, fd00:2::2/128")
	b.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privateB+`
Address = 10.2.0.2/24, fd00:2::2/64
`+more+`
[Peer]
# Name = A
PublicKey = `+publicA+`
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 198.18.0.1:1234
`)
	a.Must("ip addr add 198.18.0.1/32 dev lo && ip addr add 198.18.0.9/32 dev lo && ip addr add 2001:db8:18::9/128 dev lo")
	b.Must("ip route add default via 192.0.2.1")
}

// With a default route, the traffic of both families goes through the tunnel and none of
// it beside it, also under strict reverse path filtering. After down, the system is as it
// was. // A53
func TestUpDefaultRoute(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	b.Must("sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1")
	before := b.System()
	a.Must("wgd up wg0")
	if r := b.Run("wgd up wg0"); r.Code != 0 || r.Out+r.Err != "" {
		t.Fatalf("exit status %d, output %q, want 0 and none", r.Code, r.Out+r.Err)
	}
	b.Ping("198.18.0.9", 3)
	b.Ping("2001:db8:18::9", 3)
	wire := b.Watch("eth0")
	b.Ping("198.18.0.9", 3)
	for _, p := range some(t, b.Watched(wire)) {
		if p.Proto == 1 {
			t.Errorf("a ping outside the tunnel: %v", p)
		}
	}
	contains(t, b.Must("wgconfig wg0 show peer A"), "endpoint: 198.18.0.1:1234")
	b.Must("wgd down wg0")
	lab.Unchanged(t, "down", before, b.System())
	nothingLeft(t, b)
	b.Must("wgd up /etc/wireguard/wg0.conf && wgd down /etc/wireguard/wg0.conf")
	lab.Unchanged(t, "up and down again", before, b.System())
}

// The firewall drops what a neighbour sends to an address of the tunnel beside the tunnel.
func TestUpDropsForeign(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	a.Must("wgd up wg0 && ip route add 10.2.0.2/32 via 192.0.2.2 && ip -6 route add fd00:2::2/128 via fd01::2")
	b.Must("wgd up wg0")
	a.NoPing("10.2.0.2")
	a.NoPing("fd00:2::2")
	b.Must("nft delete table ip wgd-wg0 && nft delete table ip6 wgd-wg0")
	a.Ping("10.2.0.2", 1) // otherwise this test proves nothing
	a.Ping("fd00:2::2", 1)
	b.Must("wgd down wg0") // though the tables are gone
}

// Hooks are run by bash, in the order of wg-quick, and see the interface or not. A hook
// that fails keeps nothing up.
func TestUpHooks(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, `PreUp = ip link show %i | grep -q DOWN && echo PreUp %i # with this >> /run/hooks
PreUp = [[ -z $(ip -o address show dev %i) ]] && echo PreUp %i >> /run/hooks
PostUp = ip route get 198.18.0.9 | grep -q 'dev %i' && echo PostUp %i >> /run/hooks
PreDown = ip -o link show %i | grep -q ,UP && echo PreDown %i >> /run/hooks
PostDown = ip link show %i || echo PostDown %i >> /run/hooks`)
	b.Must("wgd up wg0")
	if got := b.Must("cat /run/hooks"); got != "PreUp wg0\nPostUp wg0\n" {
		t.Errorf("hooks of up: %q", got)
	}
	verbose := b.Run("wgd down wg0 --verbose")
	if verbose.Code != 0 || !strings.Contains(verbose.Err, "wg0: PreDown: ip -o link show wg0") {
		t.Errorf("exit status %d: %s", verbose.Code, verbose.Err)
	}
	if got := b.Must("cat /run/hooks"); !strings.HasSuffix(got, "PreDown wg0\nPostDown wg0\n") {
		t.Errorf("hooks of down: %q", got)
	}

	before := b.System()
	upFilesHooks := func(lines string) {
		b.Must("rm -f /run/hooks; ip route del default")
		upFiles(a, b, lines)
	}
	a.Must("ip addr flush dev lo && ip addr add 127.0.0.1/8 dev lo && ip addr add ::1/128 dev lo")
	upFilesHooks("PreDown = false\nPostDown = true | false; true\nPostDown = touch /run/after")
	b.Must("wgd up wg0")
	r := b.Run("wgd down wg0")
	if r.Code != 1 || !strings.Contains(r.Err, "wg0: PreDown failed: false") || !strings.Contains(r.Err, "wg0: PostDown failed: true | false; true") {
		t.Errorf("hooks that fail: exit status %d: %s", r.Code, r.Err)
	}
	lab.Unchanged(t, "down with hooks that fail", before, b.System())
}

// Where versions of wg-quick differ, up does what 1.0.20260223 does: what PreUp has
// configured stays unless the file has something else, and of the routes to several
// endpoints, the one with the smallest MTU counts.
func TestUpFollowsNewWgQuick(t *testing.T) {
	t.Parallel()
	_, b := lab.Pair(t)
	private, public := keyPair(b)
	_, other := keyPair(b)
	b.Write("/run/key", private)
	b.Must("ip route add 198.51.100.0/24 via 192.0.2.1 mtu 1400 && ip route add 203.0.113.0/24 via 192.0.2.1 mtu 1300")
	b.Write("/etc/wireguard/wg0.conf", `[Interface]
PreUp = wgconfig %i set private-key /run/key && wgconfig %i set listen-port 7777 && wgconfig %i set fwmark 5
FwMark = 6
[Peer]
PublicKey = `+other+`
Endpoint = 203.0.113.7:51820
[Peer]
# Name = near
PublicKey = `+public+`
Endpoint = 198.51.100.7:51820
`)
	b.Must("chmod 600 /run/key && wgd up wg0")
	if got := strings.TrimSpace(b.Must("wg show wg0 listen-port; wg show wg0 fwmark; wg show wg0 private-key; cat /sys/class/net/wg0/mtu")); got != "7777\n0x6\n"+private+"\n1220" {
		t.Errorf("got %s, want port 7777, mark 6, the key of PreUp, and MTU 1220", got)
	}
}

// If the file is gone, down runs the hooks that it had.
func TestDownWithoutFile(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostDown = echo down > /run/%i-hook")
	b.Must("wgd up wg0 && rm /etc/wireguard/wg0.conf")
	if r := b.Run("wgd down wg0"); r.Code != 0 || !strings.Contains(r.Err, "warning: wg0: the hooks of wgd up are run") {
		t.Errorf("exit status %d: %s", r.Code, r.Err)
	}
	b.Must("test -e /run/wg0-hook")
	nothingLeft(t, b)
}

// If up fails, it says why, and leaves nothing.
func TestUpFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, prepare, more, call string
		words                     []string
	}{
		{"PreUp", "true", "PreUp = echo this; exit 3", "wgd", []string{"PreUp failed", "exit status 3"}},
		{"PostUp", "true", "PostUp = ip link show nothing", "wgd", []string{"PostUp failed", "exit status 1"}},
		{"port", "true", "ListenPort = 7", "wgd", []string{"port 7", "taken"}},
		{"IPv6", "sysctl -qw net.ipv6.conf.default.disable_ipv6=1", "", "wgd", []string{"fd00:2::2", "IPv6 is disabled"}},
		{"route", "ip route add default dev eth0 table 99", "FwMark = 99", "wgd", []string{"route 0.0.0.0/0", "it is there already"}},
		{"no shell", "true", "PreUp = true", "PATH=/nothing $(command -v wgd)", []string{"PreUp failed", "neither bash nor sh"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			upFiles(a, b, c.more)
			b.Echo() // on port 7
			b.Must("%s", c.prepare)
			before := b.System()
			b.Fails(1, c.call+" up wg0", c.words...)
			lab.Unchanged(t, "up that failed", before, b.System())
			nothingLeft(t, b)
			b.Fails(1, "wgd down wg0", "not up")
		})
	}
}

// Whenever up or the daemon is killed, down restores what was before, and so does the next
// up, if the interface is gone.
func TestUpKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, more, next string }{
		{"up, before it configures the interface", "PreUp = kill -9 $PPID", "interrupted"},
		{"up, in its last hook", "PostUp = kill -9 $PPID", "up already"},
		{"the daemon", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			upFiles(a, b, c.more)
			before := b.System()
			b.Run("wgd up wg0")
			if c.next != "" {
				b.Fails(1, "wgd up wg0", c.next, "wgd down wg0 ")
			} else {
				b.Daemon(lab.Ours).Kill()
				ends(t, b, 10*time.Second)
				if left := b.System(); left == before {
					t.Error("the daemon's end leaves no rules: this test proves nothing")
				}
				b.Must("wgd up wg0")
			}
			b.Must("wgd down wg0")
			lab.Unchanged(t, "down", before, b.System())
			nothingLeft(t, b)
		})
	}
}

// In another network namespace than that of the interface, down changes nothing, and says
// where to run it.
func TestDownElsewhere(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	before := b.System()
	b.Must("wgd up wg0")
	up := b.System()
	b.Fails(1, "unshare -n wgd down wg0", "not in this network namespace", "where the interface was created")
	b.Fails(1, "unshare -n wgd up wg0", "not in this network namespace")
	lab.Unchanged(t, "down elsewhere", up, b.System())
	b.Must("wgd down wg0")
	lab.Unchanged(t, "down", before, b.System())
}

// A signal makes up undo what it did.
func TestUpInterrupted(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = kill -INT $PPID; sleep 30")
	before := b.System()
	if r := b.Run("wgd up wg0"); r.Code != 1 || !strings.Contains(r.Err, "interrupted") || r.Took > 20*time.Second {
		t.Errorf("exit status %d after %v: %s", r.Code, r.Took, r.Err)
	}
	lab.Unchanged(t, "up that was interrupted", before, b.System())
	nothingLeft(t, b)
}

// Each error of wgd up names the cause and a remedy.
func TestUpErrors(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = wgd down wg0 2>/run/busy || true")
	b.Fails(1, "wgd up wg1", "/etc/wireguard/wg1.conf", "no such file")
	b.Fails(2, "wgd up", "argument is missing")
	b.Fails(1, "wgd down wg1", "not up")
	b.Write("/etc/wireguard/wg1.conf", "[Interface]\nPrivateKey = short\nMTU = 5\n")
	b.Fails(1, "wgd up wg1", "/etc/wireguard/wg1.conf:2: PrivateKey", "/etc/wireguard/wg1.conf:3: MTU 5")
	b.Must("chmod 644 /etc/wireguard/wg0.conf")
	b.Fails(1, "setpriv --reuid 65534 --clear-groups wgd up wg0", "permission", "root")
	b.Fails(1, "setpriv --bounding-set -net_admin --inh-caps -net_admin wgd up wg0", "permission", "root")
	nothingLeft(t, b)
	b.Must("wg-ifconfig wg0 create")
	b.Fails(1, "wgd up wg0", "exists already")
	b.Fails(1, "wgd down wg0", "did not bring this interface up")
	b.Must("wg-ifconfig wg0 destroy && wgd up wg0")
	contains(t, b.Must("cat /run/busy"), "is working on it: wait")
	b.Fails(1, "wgd up wg0", "up already", "wgd down")
	b.Must("wgd down wg0")
}

// What of DNS is not possible, or fails: the commands say so, and the tunnel comes up.
func TestUpSaysWhatIsLacking(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "DNS = 10.2.0.1, ~corp.example")
	a.Must("wgd up wg0")
	if r := b.Run("wgd up wg0"); r.Code != 0 || !strings.Contains(r.Err, "DNS is not set") || !strings.Contains(r.Err, "needs systemd-resolved") {
		t.Errorf("exit status %d: %s", r.Code, r.Err)
	}
	b.Must("sed -i 's/DNS = 10.2.0.1/DNS = 10.2.0.3/; s/^Address = .*/&, 10.9.9.9/' /etc/wireguard/wg0.conf")
	if r := b.Run("wgd reload wg0"); r.Code != 0 || !strings.Contains(r.Err, "DNS is not set") || strings.Contains(r.Out, "name servers") || !strings.Contains(r.Out, "10.9.9.9") {
		t.Errorf("wgd reload: exit status %d: %s%s", r.Code, r.Out, r.Err)
	}
	b.Must("wgd down wg0")
	b.Must("mount -t tmpfs none /usr/local/sbin && touch /etc/resolv.conf && sed -i 's/, ~corp.example//' /etc/wireguard/wg0.conf")
	b.Must("echo nameserver 192.0.2.53 > /run/mounted && mount --bind /run/mounted /etc/resolv.conf && mount -o remount,bind,ro /etc/resolv.conf")
	for script, words := range map[string][]string{
		"exit 0":                         {"another program is in charge", "read-only", "DNS is not set"},
		"echo no such interface; exit 1": {"resolvconf -a", "wg0 -m 0 -x: exit status 1: no such interface", "read-only", "DNS is not set"},
	} {
		b.Must("echo '#!/bin/sh\n%s' > /usr/local/sbin/resolvconf; chmod +x /usr/local/sbin/resolvconf", script)
		r := b.Run("wgd up wg0")
		for _, word := range words {
			if r.Code != 0 || !strings.Contains(r.Err, word) {
				t.Errorf("%s: exit status %d, no %q in: %s", script, r.Code, word, r.Err)
			}
		}
		b.Ping("198.18.0.9", 1)
		if r := b.Run("wgd down wg0"); r.Code != 0 || r.Err != "" {
			t.Errorf("%s: exit status %d: %s", script, r.Code, r.Err)
		}
	}
}
