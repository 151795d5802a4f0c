package interop

import (
	"cmp"
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// wgQuick is the wg-quick to compare with. WG_QUICK names another one than the system's.
var wgQuick = cmp.Or(os.Getenv("WG_QUICK"), "wg-quick")

var quick = "WG_QUICK_USERSPACE_IMPLEMENTATION=wgd " + wgQuick + " "

// wg-quick brings tunnels up and down on both ends, with addresses of both families,
// MTU, hooks and keepalive. After down, everything that it set up is gone.
func TestWgQuick(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	privA, pubA := newKey(a)
	privB, pubB := newKey(b)
	a.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privA+`
ListenPort = 1234
Address = 10.2.0.1/24, fd00:2::1/64
MTU = 1380
PostUp = touch /run/up-%i
PostDown = touch /run/down-%i
[Peer]
PublicKey = `+pubB+`
AllowedIPs = 10.2.0.2/32, fd00:2::2/128
`)
	b.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privB+`
Address = 10.2.0.2/24
Address = fd00:2::2/64
[Peer]
PublicKey = `+pubA+`
AllowedIPs = 10.2.0.1/32, fd00:2::1/128, 10.77.0.0/16
Endpoint = 192.0.2.1:1234
PersistentKeepalive = 25
`)
	for _, h := range []*lab.Host{a, b} {
		h.Must("%s", quick+"up wg0")
	}
	a.Echo()
	b.Sweep(lab.Sweep{Remote: addr(lab.InnerA4), From: 0, To: 1500, Step: 5})
	b.Sweep(lab.Sweep{Remote: addr(lab.InnerA6), From: 0, To: 1500, Step: 5})
	contains(t, a.Must("ip link show wg0"), "mtu 1380", "UP")
	contains(t, b.Must("ip route"), "10.77.0.0/16 dev wg0")
	contains(t, b.Must("ip link show wg0"), "mtu 1420")
	contains(t, a.Must("wg-ifconfig wg0"), "inet 10.2.0.1/24", "inet6 fd00:2::1/64", "<UP,RUNNING,MULTICAST>")
	a.Must("test -e /run/up-wg0")
	contains(t, a.Must("%s", quick+"strip wg0"), privA)
	a.Must("%s", quick+"save wg0")
	contains(t, a.Must("cat /etc/wireguard/wg0.conf"), pubB, "MTU = 1380", "ListenPort = 1234")
	if r := a.Run(quick + "up wg0"); r.Code == 0 {
		t.Error("a second up succeeds")
	}
	for _, h := range []*lab.Host{a, b} {
		h.Must("%s", quick+"down wg0")
		gone(t, h)
	}
	a.Must("test -e /run/down-wg0")
	// It can bring the tunnel up again.
	a.Must("%s", quick+"up wg0 && "+quick+"down wg0")
	gone(t, a)
}

func gone(t *testing.T, h *lab.Host) {
	t.Helper()
	lab.Until(t, 15*time.Second, "the interface and its daemon are gone", func() (bool, string) {
		r := h.Run("ip link show wg0; ls /run/wireguard")
		return len(h.PIDs(lab.Ours)) == 0 && !strings.Contains(r.Out, "wg0"), r.Out
	})
}

// With the default route of both families through the tunnel, the policy routing, the
// firewall mark and the firewall rules of wg-quick work. // A53
func TestWgQuickDefaultRoute(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	privA, pubA := newKey(a)
	privB, pubB := newKey(b)
	a.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privA+`
ListenPort = 1234
Address = 10.2.0.1/24, fd00:2::1/64
[Peer]
PublicKey = `+pubB+`
AllowedIPs = 10.2.0.2/32, fd00:2::2/128
`)
	b.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privB+`
Address = 10.2.0.2/24, fd00:2::2/64
[Peer]
PublicKey = `+pubA+`
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:1234
`)
	a.Must("ip addr add 198.18.0.1/32 dev lo && ip addr add 2001:db8:18::1/128 dev lo")
	a.Must("%s", quick+"up wg0")
	b.Must("%s", quick+"up wg0")
	b.Ping("198.18.0.1", 3)
	b.Ping("2001:db8:18::1", 3)
	wire := b.Watch("eth0")
	b.Ping("198.18.0.1", 2)
	packets := b.Watched(wire)
	if len(packets) == 0 {
		t.Fatal("no packet was seen: this test proves nothing")
	}
	for _, p := range packets {
		if p.Proto == 1 {
			t.Errorf("a ping outside the tunnel: %v", p)
		}
	}
	contains(t, b.Must("wg show wg0 fwmark"), "0xca6c")
	b.Must("%s", quick+"down wg0")
	gone(t, b)
	if rules := b.Must("ip rule; ip -6 rule"); strings.Contains(rules, "51820") {
		t.Errorf("wg-quick down leaves rules:\n%s", rules)
	}
}
