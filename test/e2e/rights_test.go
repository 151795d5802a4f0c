package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

const (
	// ordinary runs a command as a user without any right.
	ordinary = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env HOME=/run/home XDG_RUNTIME_DIR=/run/own "
	// namespace makes that user the root of a user namespace with a network of its own.
	namespace = ordinary + "unshare -Ur --net "
	publicTUN = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200"
)

// rightsHost is a host with a file that an ordinary user may read.
func rightsHost(t *testing.T, name string) *lab.Host {
	h := lab.NewHost(t, name)
	h.Must("mkdir /run/home && install -d -m 700 -o 65534 -g 65534 /run/own")
	key := strings.TrimSpace(h.Must("wg-keygen"))
	h.Write("/run/home/wg0.conf", "[Interface]\nPrivateKey = "+key+"\nAddress = 10.2.0.2/24\n")
	h.Must("chown -R 65534 /run/home")
	return h
}

// needUserNamespaces leaves the test out where the system forbids user namespaces: in CI,
// it fails.
func needUserNamespaces(t *testing.T, h *lab.Host) {
	r := h.Run(namespace + "ip link set lo up")
	if r.Code == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("this system forbids user namespaces of ordinary users (see user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns): %s", r.Err)
	}
	t.Skipf("LEFT OUT: user namespaces: this system forbids them to ordinary users (see user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns): %s", r.Err)
}

// A command that needs a TUN interface says which right is missing.
func TestMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	h := rightsHost(t, "a")
	const up, daemon = "wgd up /run/home/wg0.conf", "wgd wg0"
	for _, c := range []struct{ name, prepare, as, want string }{
		{"no mode", "mount -t tmpfs none /dev/net && mknod -m 600 /dev/net/tun c 10 200", ordinary, "only its owner can (mode 0600)"},
		{"an ordinary user", publicTUN, ordinary, "CAP_NET_ADMIN is missing"},
		{"root without the capability", publicTUN, "setpriv --bounding-set -net_admin --inh-caps -net_admin ", "CAP_NET_ADMIN is missing"},
		{"the network of others", publicTUN, ordinary + "unshare -Ur ", "the network namespace belongs to another user namespace"},
		{"nodev", publicTUN + " && mount -o remount,nodev /dev/net", "", "nodev"},
		{"no device", "mount -t tmpfs none /dev/net", ordinary, "there is no /dev/net/tun"},
	} {
		h.Must("%s", c.prepare)
		if strings.Contains(c.as, "unshare") {
			needUserNamespaces(t, h)
		}
		for _, command := range []string{up, "wgd up -f /run/home/wg0.conf", daemon, "wgd -f wg0"} {
			text := h.Fails(1, c.as+command, c.want)
			if strings.Contains(text, "cannot be recorded") {
				t.Errorf("%s: %s: the error names another right first:\n%s", c.name, command, text)
			}
		}
		h.Must("umount /dev/net")
	}
	nothingLeft(t, h)
}

// The error of wgd up has commands that work without the right, and only such.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	h := rightsHost(t, "a")
	const instead = "unshare -Ur --net wgd up -f /run/home/wg0.conf"
	const proxy = "wgd proxy /run/home/wg0.conf --socks5 127.0.0.1:1080"
	if text := h.Fails(1, "mount -t tmpfs none /dev/net; "+ordinary+"wgd up /run/home/wg0.conf", "there is no"); strings.Contains(text, instead) {
		t.Errorf("without the driver, this does not work either:\n%s", text)
	}
	h.Fails(1, "mount -t tmpfs none /dev/net; "+ordinary+"wgd up /run/home/wg0.conf; code=$?; umount /dev/net; exit $code", proxy)
	h.Must("(%s %s > /run/proxy.log 2>&1 &)", ordinary, proxy)
	lab.Until(t, 30*time.Second, "the proxy listens", func() (bool, string) {
		return h.Run("ss -Htln sport = :1080 | grep 1080").Code == 0, h.Run("cat /run/proxy.log").Out
	})
	h.Must("kill %d", h.Daemon(lab.Ours).PID)
	ends(t, h, 30*time.Second)
	h.Must("umount /dev/net && " + publicTUN)
	needUserNamespaces(t, h)
	h.Fails(1, ordinary+"wgd up /run/home/wg0.conf", instead)
	h.Must("( %s %s ) > /run/up.log 2>&1 & echo $! > /run/up.pid", ordinary, instead)
	lab.Until(t, 30*time.Second, "the alternative works", func() (bool, string) {
		return h.Exists("/run/own/wireguard/wg0.sock"), h.Run("cat /run/up.log").Out
	})
	h.Must("%s wgconfig wg0 | grep interface:", ordinary)
	h.Must("kill %d", h.Daemon(lab.Ours).PID)
	ends(t, h, 30*time.Second)

	// Where unshare(1) fails, it is not recommended.
	h.Must("mkdir /run/bin; printf '#!/bin/sh\nexit 1\n' > /run/bin/unshare; chmod 755 /run/bin/unshare")
	if text := h.Fails(1, ordinary+"PATH=/run/bin:$PATH wgd up /run/home/wg0.conf", "CAP_NET_ADMIN is missing"); strings.Contains(text, "unshare -Ur --net wgd up") {
		t.Errorf("where unshare fails, the error recommends it:\n%s", text)
	}
}

// In a user namespace with a network of its own, an ordinary user has a whole tunnel:
// addresses, a default route with rules and firewall, the control socket, and its end.
func TestUserNamespace(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), rightsHost(t, "b")
	b.Must(publicTUN)
	needUserNamespaces(t, b)
	a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	server := strings.TrimSpace(a.Must("wgconfig wg0 show private-key | sed 's/.*: //' | wg-keygen --pub"))
	public := strings.TrimSpace(b.Must("sed -n 's/PrivateKey = //p' /run/home/wg0.conf | wg-keygen --pub"))
	a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", public)
	b.Must("printf '[Peer]\\nPublicKey = %s\\nEndpoint = 192.0.2.1:1234\\nAllowedIPs = 0.0.0.0/0\\n' >> /run/home/wg0.conf", server)

	// The namespace waits for its connection to the outside, which root moves there.
	b.Must("(%s sh -c 'echo $$ > /run/own/pid; ip link set lo up; sleep 1000' >/dev/null 2>&1 &)", namespace)
	lab.Until(t, 30*time.Second, "the namespace exists", func() (bool, string) {
		r := b.Run("test -s /run/own/pid && nsenter -t $(cat /run/own/pid) -n ip link show lo | grep UP,")
		return r.Code == 0, r.Out + r.Err
	})
	b.Must("ip link set eth0 netns $(cat /run/own/pid)")
	const in = ordinary + "XDG_STATE_HOME=/run/own/state nsenter -t $(cat /run/own/pid) -U -n --preserve-credentials "
	b.Must(in + "sh -c 'ip address add 192.0.2.2/24 dev eth0; ip link set eth0 addrgenmode none; ip link set eth0 up'")
	before := b.Must(in + "sh -c 'ip -4 -o address; ip -4 rule; ip -4 route show table all; nft list ruleset'")

	b.Must(in + "wgd up /run/home/wg0.conf")
	b.Must(in + "ping -n -c 2 -W 20 10.2.0.1")
	contains(t, b.Must(in+"ip route get 203.0.113.9"), "dev wg0")
	contains(t, b.Must(in+"nft list ruleset"), "table ip wgd-wg0")
	contains(t, b.Must(in+"wgconfig wg0"), "endpoint: 192.0.2.1:1234")
	contains(t, b.Must(in+"wgd explain wg0"), "works")
	contains(t, b.Must(in+"wg-ifconfig wg0"), "10.2.0.2/24")
	b.Must("sed -i 's|10.2.0.2/24|10.2.0.2/24, 10.2.0.3/24|' /run/home/wg0.conf")
	contains(t, b.Must(in+"wgd reload /run/home/wg0.conf"), "10.2.0.3/24")
	// wg has its directory compiled in, so it needs the folder there.
	contains(t, b.Must(in+"unshare -m sh -c 'mount --bind /run/own /run && wg show wg0'"), "192.0.2.1:1234")
	for _, file := range []string{"/run/own/wireguard/wg0.sock", "/run/own/wgd/wg0.json", "/run/own/state/wgd/wg0.stamps"} {
		if !b.Exists(file) {
			t.Error("there is no", file)
		}
	}
	b.Must(in + "wgd down /run/home/wg0.conf")
	ends(t, b, 30*time.Second)
	same(t, b.Must(in+"sh -c 'ip -4 -o address; ip -4 rule; ip -4 route show table all; nft list ruleset'"), before)
	for _, file := range []string{"/run/own/wireguard/wg0.sock", "/run/own/wgd/wg0.json"} {
		if b.Exists(file) {
			t.Error("wgd down leaves", file)
		}
	}
	b.Must("kill $(cat /run/own/pid)")
}
