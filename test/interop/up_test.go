package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wgd/test/lab"
)

type upCase struct{ name, prepare, text string }

// upCases are configurations with the keys and the endpoints left out: KEY is the private
// key of the interface, and P1 to P3 are public keys.
var upCases = []upCase{
	{"addresses of both families", "", `
[Interface]
PrivateKey = KEY
ListenPort = 1234
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.1/32, fd00:2::1/128, 10.77.0.0/16, fd00:77::/32
Endpoint = 192.0.2.1:1234
PersistentKeepalive = 25
`},
	{"no address, no endpoint", "", `
[Interface]
PrivateKey = KEY
[Peer]
PublicKey = P1
AllowedIPs = 10.77.0.0/16, fd00:77::/32
`},
	{"single addresses", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2, 10.2.0.3/32
Address = fd00:2::2
Address = 10.3.0.1/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.1, fd00:2::2/128, fd00:2::1, 10.3.0.0/24, 10.3.0.128/25
`},
	{"MTU", "", `
[Interface]
PrivateKey = KEY
MTU = 1300
Address = 10.2.0.2/24
Address = fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.0/24
Endpoint = 192.0.2.1:1234
`},
	{"MTU of the endpoint's interface", "ip link set eth0 mtu 1400", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.0/24
Endpoint = 192.0.2.1:1234
`},
	{"MTU of the endpoint's route", "ip route add 198.51.100.0/24 via 192.0.2.1 mtu 1380", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.0/24
Endpoint = 198.51.100.7:1234
`},
	{"MTU of the default route", "ip link set eth0 mtu 1390 && ip route add default via 192.0.2.1", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.0/24
`},
	{"no way to the endpoint", "ip link set eth0 mtu 1390", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.0/24
Endpoint = 198.51.100.7:1234
`},
	{"default routes", "ip route add default via 192.0.2.1", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:1234
`},
	{"default route of IPv4 alone", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, 10.88.0.0/16
Endpoint = 192.0.2.1:1234
`},
	{"default route of IPv6 alone", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = ::/0
Endpoint = [fd01::1]:1234
`},
	{"default route with a mark", "", `
[Interface]
PrivateKey = KEY
FwMark = 0x4d2
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:1234
`},
	{"mark without a default route", "", `
[Interface]
PrivateKey = KEY
FwMark = 77
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.9.0.0/16
Endpoint = 192.0.2.1:1234
`},
	{"the table of the default route is taken", "ip route add 10.1.0.0/16 dev eth0 table 51820 && ip -6 route add fd00:1::/64 dev eth0 table 51821", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:1234
`},
	{"other rules", "ip rule add from 10.99.0.0/16 table 7 && ip -6 rule add from fd00:99::/64 table 7 pref 100", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:1234
`},
	{"Table = off", "", `
[Interface]
PrivateKey = KEY
Table = off
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0, 10.9.0.0/16
Endpoint = 192.0.2.1:1234
`},
	{"Table = 777", "", `
[Interface]
PrivateKey = KEY
Table = 777
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 0.0.0.0/0, ::/0, 10.2.0.0/24, 10.9.0.0/16
Endpoint = 192.0.2.1:1234
`},
	{"overlapping prefixes of three peers", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = P1
AllowedIPs = 10.8.0.0/16, fd00:8::/32
[Peer]
PublicKey = P2
AllowedIPs = 10.8.0.0/24, 10.8.1.1/32, fd00:8:1::/64, 10.2.0.0/16
[Peer]
PublicKey = P3
AllowedIPs = 10.8.0.0/16, fd00:8:1::7/128, 10.0.0.0/8
`},
	{"hooks and the rest", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
SaveConfig = false
PreUp = sysctl -qw net.ipv4.ip_forward=1
PostUp = ip route add 10.66.0.0/16 dev %i; ip address add 10.2.0.9/24 dev %i
PostUp = [[ %i == wg+(0) ]] && echo %i | grep -q wg0
PreDown = ip route del 10.66.0.0/16 dev %i
PostDown = sysctl -qw net.ipv4.ip_forward=0
[Peer]
PublicKey = P1
PresharedKey = PSK
AllowedIPs = 10.2.0.1/32
Endpoint = 192.0.2.1:1234
PersistentKeepalive = off
`},
}

// newerCases are configurations that wg-quick understands as wgd does since
// wireguard-tools 1.0.20260223. Debian 12 and 13 have 1.0.20210914.
var newerCases = []upCase{
	{"PreUp sees the interface, and what it configures stays", "", `
[Interface]
PrivateKey = KEY
Address = 10.2.0.2/24
PreUp = ip link set %i txqueuelen 77
PreUp = wg set %i listen-port 1239 fwmark 0x7
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.1/32
`},
	{"# in a hook", "", `
[Interface]
PrivateKey = KEY
ListenPort = 1234
Address = 10.2.0.2/24
PostUp = [[ "a#b" == a?b ]] && ip route add 10.66.0.0/16 dev %i
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.1/32
`},
	{"the smallest MTU of several endpoints", "ip route add 198.51.100.0/24 via 192.0.2.1 mtu 1380", `
[Interface]
PrivateKey = KEY
ListenPort = 1234
Address = 10.2.0.2/24
[Peer]
PublicKey = P1
AllowedIPs = 10.2.0.1/32
Endpoint = 198.51.100.7:1234
[Peer]
PublicKey = P2
AllowedIPs = 10.2.0.3/32
Endpoint = 192.0.2.1:1234
`},
}

// newer reports whether the wg-quick to compare with is one of these versions.
func newer(t *testing.T) bool {
	t.Helper()
	path, err := exec.LookPath(wgQuick)
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(script), "wg addconf")
}

// A file gives the same addresses, routes, rules and firewall rules, and the same tunnel,
// whether wg-quick or wgd up brings it up. After wgd down, the system is as it was.
func TestUpDoesWhatWgQuickDoes(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(upCases, exampleCases(t))
	if newer(t) {
		cases = append(cases, newerCases...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, h := lab.Pair(t)
			private, _ := newKey(h)
			pairs := []string{"PrivateKey = KEY", "PrivateKey = " + private, "= PSK", "= " + strings.TrimSpace(h.Must("wg genpsk"))}
			for _, p := range []string{"P1", "P2", "P3"} {
				_, public := newKey(h)
				pairs = append(pairs, "= "+p+"\n", "= "+public+"\n")
			}
			h.Write("/etc/wireguard/wg0.conf", strings.NewReplacer(pairs...).Replace(c.text))
			if c.prepare != "" {
				h.Must("%s", c.prepare)
			}
			before := system(h)
			h.Must("%s", quick+"up wg0")
			h.Must("test -S /run/wireguard/wg0.sock && wgconfig wg0") // the kernel did not take it
			h.AwaitAddresses("wg0")
			theirs := system(h) + tunnel(h)
			h.Must("%s", quick+"down wg0")
			gone(t, h)
			h.Must("sysctl -qw net.ipv4.conf.all.src_valid_mark=0") // wg-quick leaves it
			lab.Unchanged(t, "wg-quick down", before, system(h))
			h.Must("wgd up wg0")
			h.AwaitAddresses("wg0")
			lab.Unchanged(t, "wgd up", theirs, system(h)+tunnel(h))
			h.Must("wgd down wg0")
			lab.Unchanged(t, "wgd down", before, system(h))
			gone(t, h)
			if h.Exists("/run/wgd/wg0.json") {
				t.Error("wgd down leaves its record")
			}
		})
	}
}

// exampleCases returns the files in examples/ that have no directives of our own, with
// the names of keys for those of the placeholders.
func exampleCases(t *testing.T) (cases []upCase) {
	t.Helper()
	files, err := filepath.Glob("../../examples/*/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	public := regexp.MustCompile(`PUBLIC-KEY-OF-\w+`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "PrivateKeyFile") { // those with ExcludedIPs have it, too
			continue
		}
		cases = append(cases, upCase{
			name:    strings.TrimPrefix(file, "../../"),
			prepare: "sysctl -qw net.ipv4.ip_forward=1", // a hook sets it, and none unsets it
			text:    public.ReplaceAllString(strings.ReplaceAll(string(text), "PRIVATE-KEY", "KEY"), "P1"),
		})
	}
	if len(cases) < 5 {
		t.Errorf("%d examples are files of wg-quick, want 5 or more", len(cases))
	}
	return cases
}

// recorder is a resolvconf that records how it is called, and what it reads.
const recorder = `#!/bin/sh
echo "$@" >>/run/resolvconf.log
case $1 in
-a) tee -a /run/resolvconf.log >/etc/resolv.conf ;;
-d) echo nameserver 192.0.2.53 >/etc/resolv.conf ;;
esac
`

// wgd tells resolvconf what wg-quick tells it, also Debian's, which wants another name.
func TestUpTellsResolvconf(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	private, _ := newKey(h)
	h.Must("mount -t tmpfs none /usr/local/sbin && rm -rf /etc/resolvconf /etc/resolv.conf && echo nameserver 192.0.2.53 > /etc/resolv.conf")
	h.Write("/usr/local/sbin/resolvconf", recorder)
	h.Must("chmod +x /usr/local/sbin/resolvconf")
	h.Write("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = "+private+"\nDNS = 10.2.0.1, corp.example\nDNS = fd00:2::1, b.example\n")
	log := func(up, down string) string {
		h.Must("rm -f /run/resolvconf.log")
		if r := h.Run(up); r.Code != 0 || strings.Contains(r.Err, "warning") {
			t.Errorf("%s: exit status %d: %s", up, r.Code, r.Err)
		}
		contains(t, h.Must("cat /etc/resolv.conf"), "nameserver 10.2.0.1\nnameserver fd00:2::1\nsearch corp.example b.example")
		h.Must("%s", down)
		contains(t, h.Must("cat /etc/resolv.conf"), "nameserver 192.0.2.53")
		gone(t, h)
		return h.Must("cat /run/resolvconf.log")
	}
	theirs := log(quick+"up wg0", quick+"down wg0")
	same(t, log("wgd up wg0", "wgd down wg0"), theirs)
	contains(t, theirs, "-a wg0 -m 0 -x", "-d wg0 -f")
	h.Must("mkdir /etc/resolvconf && printf 'lo.*\\ntun*\\ntap*\\n' > /etc/resolvconf/interface-order")
	theirs = log(quick+"up wg0", quick+"down wg0")
	same(t, log("wgd up wg0", "wgd down wg0"), theirs)
	contains(t, theirs, "-a tun.wg0 -m 0 -x", "-d tun.wg0 -f")
}

// system is the state of the system, with the tables of wg-quick under our name.
func system(h *lab.Host) string {
	return strings.ReplaceAll(h.System(), " wg-quick-wg0 ", " wgd-wg0 ")
}

var port = regexp.MustCompile(`(?m)^(\S+\t\S+\t)\d+\t`)

// tunnel is the state of the tunnel, without its port if the file names none.
func tunnel(h *lab.Host) string {
	dump := h.Must("wg show wg0 dump")
	if !strings.Contains(h.Must("cat /etc/wireguard/wg0.conf"), "ListenPort") {
		dump = port.ReplaceAllString(dump, "${1}any\t")
	}
	return dump
}
