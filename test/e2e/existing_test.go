package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A daemon uses an existing persistent TUN interface that no program has open. It keeps
// its addresses, the length of its queue and its MTU, unless that is the kernel's
// default of 1500. The interface remains when the daemon ends in any way, until it is
// destroyed.
func TestExistingInterface(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	b.Must("umask 077; wg-keygen > /etc/wg/wg0")
	a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", strings.TrimSpace(b.Must("wg-keygen --pub < /etc/wg/wg0")))
	for _, kind := range []string{"", "multi_queue"} {
		b.Must("ip tuntap add dev wg0 mode tun %s && ip address add 10.2.0.2/24 dev wg0", kind)
		for i, end := range []string{"TERM", "KILL", "INT"} {
			if i > 0 {
				b.Must("ip link set wg0 mtu 1300") // the choice of a person
			}
			b.Must("wgd wg0 && wgconfig wg0 set private-key /etc/wg/wg0 && wg-ifconfig wg0 up")
			b.Must("wgconfig wg0 add peer a %s --allowed-ips=10.2.0.1/32 --endpoint=192.0.2.1:1234", ta.Public)
			b.PingWithin(10*time.Second, "10.2.0.1")
			mtu := "1420"
			if i > 0 {
				mtu = "1300"
			}
			contains(t, b.Must("ip link show wg0"), "qlen 500")
			contains(t, b.Must("wg-ifconfig wg0"), "mtu "+mtu+"\n\tstatus: active\n\tinet 10.2.0.2/24 flags 0\n")
			b.Must("kill -%s %d", end, b.Daemon(lab.Ours).PID)
			ends(t, b, 10*time.Second)
			contains(t, b.Must("ip link show wg0"), "mtu "+mtu)
			contains(t, b.Must("ip address show wg0"), "10.2.0.2/24")
			b.Fails(1, "wg-ifconfig wg0", "not a wg interface")
			b.Fails(1, "wg-ifconfig wg0 create", "without a wg daemon", "wgd wg0")
			same(t, b.Must("wg-ifconfig -l"), "\n")
		}
		b.Must("wgd wg0 && wg-ifconfig wg0 destroy")
		nothingLeft(t, b)
	}
}

// A daemon does not use a TUN interface that another program has open, or an interface
// of another kind.
func TestHeldInterface(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	const elsewhere = "unshare -m sh -c 'mount -t tmpfs none /run && wgd %s'" // its socket is in another /run
	h.Must("ip tuntap add dev wg1 mode tun && ip tuntap add dev wg2 mode tun multi_queue")
	for _, name := range []string{"wg0", "wg1", "wg2"} { // the other daemon creates the first itself
		h.Must(elsewhere, name)
		for _, start := range []string{"wgd " + name, "wgd -f " + name} {
			h.Fails(1, start, "there is an interface "+name+" already", "another program has it open")
		}
		if h.Exists("/run/wireguard/" + name + ".sock") {
			t.Errorf("%s: a daemon that did not start left a socket", name)
		}
		h.Must("ip link show %s", name)
	}
	if n := len(h.PIDs(lab.Ours)); n != 3 {
		t.Errorf("%d of 3 daemons still run", n)
	}
	h.Must("ip tuntap add dev tap0 mode tap && ip link add br0 type bridge")
	for _, name := range []string{"tap0", "br0"} {
		h.Fails(1, "wgd "+name, "there is an interface "+name+" already")
		h.Must("ip link show %s", name)
	}
}

// The owner of an interface can run its daemon without root.
func TestInterfaceOfAUser(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200")
	h.Must("mkdir /run/wireguard /run/state && chown 4711 /run/wireguard /run/state && ip tuntap add dev wg0 mode tun user 4711")
	const as = "XDG_STATE_HOME=/run/state setpriv --reuid %s --clear-groups --bounding-set -all --inh-caps -all wgd wg0"
	h.Fails(1, strings.Replace(as, "%s", "65534", 1), "permission")
	h.Must("chmod 777 /run/wireguard")
	h.Fails(1, strings.Replace(as, "%s", "65534", 1), "wg0", "belongs to")
	h.Must("chmod 755 /run/wireguard && ip link set wg0 mtu 1420")
	if r := h.Run(strings.Replace(as, "%s", "4711", 1)); r.Code != 0 || r.Err != "" {
		t.Fatalf("exit status %d\n%s", r.Code, r.Err)
	}
	h.Must("wg show wg0 && wg-ifconfig wg0 inet 10.2.0.1/24 up")
	contains(t, h.Must("wg-ifconfig wg0"), "status: active")
	h.Must("kill %d", h.Daemon(lab.Ours).PID)
	ends(t, h, 10*time.Second)
	h.Must("ip link set wg0 mtu 1500")
	if r := h.Run(strings.Replace(as, "%s", "4711", 1)); r.Code != 0 || !strings.Contains(r.Err, "MTU") {
		t.Fatalf("exit status %d\n%s", r.Code, r.Err)
	}
}
