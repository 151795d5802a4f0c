package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve/dns/dnstest"
	"wgd/test/lab"
)

// proxyServices are services of every kind, as sections of wireproxy.
const proxyServices = `
[TCPClientTunnel]
BindAddress = 127.0.0.1:8001
Target = 10.2.0.1:9

[TCPClientTunnel]
BindAddress = [::1]:8002
Target = [fd00:2::1]:9

[TCPClientTunnel]
BindAddress = localhost:8003
Target = sink.test:9

[TCPServerTunnel]
ListenPort = 80
Target = localhost:9

[UDPProxyTunnel]
BindAddress = 127.0.0.1:8007
Target = sink.test:7

[Socks5]
BindAddress = 127.0.0.1:1080

[http]
BindAddress = 127.0.0.1:8080
`

// proxyPair makes a, which has an interface of the kernel and a name server inside the
// tunnel, and b, which has a file for a proxy. The rest of the file is more.
func proxyPair(t *testing.T, more string) (a, b *lab.Host, inside *dnstest.Server) {
	t.Helper()
	a, b = lab.Pair(t)
	upFiles(a, b, "DNS = 10.2.0.1\nCheckAlive = 10.2.0.1\n")
	a.Must("wgd up wg0")
	inside = dnstest.StartOn(t, a.PID(), "10.2.0.1")
	inside.SetAddrs("sink.test", 60, "10.2.0.1", "fd00:2::1")
	a.Sink(9)
	b.Sink(9)
	b.Must(`mkdir -p /run/user && cat >> /etc/wireguard/wg0.conf <<'END'
%s
END`, more)
	return a, b, inside
}

// startProxy starts wgd proxy on b, and returns when the tunnel works.
func startProxy(t *testing.T, b *lab.Host, options string) {
	t.Helper()
	inForeground(b, "wgd proxy wg0 --ready 127.0.0.1:8090 "+options)
	lab.Until(t, 60*time.Second, "the proxy runs", func() (bool, string) {
		return b.Run("wgconfig wg0 show && grep -q ':1F9A ' /proc/net/tcp").Code == 0, b.Run("cat /run/said").Out // 8090
	})
}

// page returns the status line and the text of a page of --ready.
func page(b *lab.Host, path string) string {
	return b.Run(fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/8090 && printf "GET %s HTTP/1.0\r\n\r\n" >&3 && cat <&3'`, path)).Out
}

// stream sends a stream to an address.
func stream(h *lab.Host, to string) {
	h.Stream(lab.Stream{Remote: netip.MustParseAddrPort(to), Bytes: 1 << 20})
}

// A file of wireproxy works unchanged, against an interface of the kernel: TCP and UDP
// into the tunnel and out of it, over both families; pings in both directions; names are
// looked up inside. No query leaves outside of the tunnel, and nothing else but the
// tunnel's own datagrams.
func TestProxyCarriesEverything(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, proxyServices)
	b.Write("/etc/resolv.conf", "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver fd01::1\n")
	wire, loop := b.Watch("eth0"), b.Watch("lo")

	out := b.Must("wgd proxy wg0 --ping sink.test")
	contains(t, out, "PING sink.test (")
	contains(t, out, "4 packets transmitted, 4 received, 0% packet loss")
	contains(t, b.Must("wgd proxy wg0 --ping fd00:2::1"), "64 bytes from fd00:2::1: icmp_seq=1 time=")
	lost := b.Must(`(wgd proxy wg0 --ping 10.2.0.77; echo status $?) > /run/lost &
		for i in $(seq 100); do wgd reload wg0 2>/dev/null && break; sleep 0.1; done; ss -Hltn sport = :1080; wait; cat /run/lost`)
	contains(t, lost, "the file was read again")
	contains(t, lost, "4 packets transmitted, 0 received, 100% packet loss, time 1")
	contains(t, lost, "status 1")
	if strings.Contains(lost, ":1080") {
		t.Errorf("a reload starts services beside --ping: %s", lost)
	}

	startProxy(t, b, "--remote '[fd00:2::2]:81=[::1]:9' --udp-remote 77=127.0.0.1:7")
	for _, to := range []string{"127.0.0.1:8001", "[::1]:8002", "127.0.0.1:8003"} {
		stream(b, to)
	}
	for _, to := range []string{"10.2.0.2:80", "[fd00:2::2]:80", "[fd00:2::2]:81"} {
		stream(a, to)
	}
	a.Echo()
	b.Echo()
	for h, to := range map[*lab.Host]string{b: "127.0.0.1/8007", a: "10.2.0.2/77"} {
		echoed := h.Must(`bash -c 'exec 3<>/dev/udp/%s; printf hello >&3; timeout 20 head -c 5 <&3'`, to)
		if echoed != "hello" {
			t.Errorf("UDP to %s from %s: got %q, want hello", to, h.Name, echoed)
		}
	}
	a.Ping("10.2.0.2", 1)
	a.Ping("fd00:2::2", 1)
	if inside.Asked("sink.test") == 0 {
		t.Error("the name server inside the tunnel was not asked")
	}
	for _, id := range []int{wire, loop} {
		for _, p := range b.Watched(id) {
			if slices.Contains([]uint16{p.Src.Port(), p.Dst.Port()}, 53) {
				t.Errorf("a query outside of the tunnel: %v", p)
			}
			if id == wire && p.Proto != 58 && p.Proto != 0 && !(p.Proto == 17 && slices.Contains([]uint16{p.Src.Port(), p.Dst.Port()}, 1234)) {
				t.Errorf("a packet that is none of the tunnel: %v", p)
			}
		}
	}

	contains(t, page(b, "/"), "HTTP/1.0 200 OK")
	lab.Until(t, 30*time.Second, "CheckAlive has an answer", func() (bool, string) {
		got := page(b, "/readyz")
		return strings.Contains(got, "200 OK") && strings.Contains(got, `{"10.2.0.1":`), got
	})
	metrics := page(b, "/metrics")
	contains(t, metrics, "public_key=")
	contains(t, metrics, "listen_port=")
	if strings.Contains(metrics, "private_key") {
		t.Errorf("the page shows a key: %s", metrics)
	}
	contains(t, b.Must("wgd explain wg0"), "peer A: works")
	contains(t, b.Must("wg show wg0"), "latest handshake:")
	a.Fails(1, "wgd reload /run/wireguard/wg0.sock", "this is the control socket of an interface: give its name")
	b.Fails(1, "wgd down wg0", "this tunnel is that of a running wgd proxy")

	b.Must("kill -TERM %d", b.Daemon(lab.Ours).PID)
	foregroundEnds(t, b, "0")
	if b.Exists("/run/wireguard/wg0.sock") {
		t.Error("the control socket is left")
	}
}

// wgd reload and SIGHUP make services and peers what the file says, and connections that
// are not concerned continue. An error in the file changes nothing.
func TestProxyReload(t *testing.T) {
	t.Parallel()
	_, b, _ := proxyPair(t, "[TCPClientTunnel]\nBindAddress = 127.0.0.1:8001\nTarget = 10.2.0.1:9\n\n[TCPClientTunnel]\nBindAddress = 127.0.0.1:8002\nTarget = 10.2.0.1:9\n")
	b.Must("mkdir -m 700 /run/user/1 && cp /etc/wireguard/wg0.conf /run/wg0.conf")
	inForeground(b, "wgd proxy /run/wg0.conf --socket /run/user/1/wireguard/wg0.sock --forward unix:/run/f=10.2.0.1:9")
	lab.Until(t, 60*time.Second, "the proxy runs", func() (bool, string) {
		return b.Run("wgconfig /run/user/1/wireguard/wg0.sock show && test -S /run/f").Code == 0, b.Run("cat /run/said").Out
	})
	if got := strings.TrimSpace(b.Must("stat -c %%a /run/f /run/user/1/wireguard/wg0.sock")); got != "600\n600" {
		t.Errorf("the modes of the sockets are %q", got)
	}
	stream(b, "127.0.0.1:8001")
	b.Must("bash -c 'exec 3<>/dev/tcp/127.0.0.1/8001; printf x >&3; sleep 1000' >/dev/null 2>&1 &")
	b.Must("sed -i s/:8002/:8003/ /run/wg0.conf")
	contains(t, b.Must("wgd reload /run/user/1/wireguard/wg0.sock"), "wg0: the file was read again")
	stream(b, "127.0.0.1:8003")
	stream(b, "127.0.0.1:8001")
	if _, err := b.TryStream(lab.Stream{Remote: netip.MustParseAddrPort("127.0.0.1:8002"), Bytes: 1}); err == nil {
		t.Error("a service that has left the file still runs")
	}
	if got := strings.TrimSpace(b.Run("grep -c ':1F41 [^ ]* 01 ' /proc/net/tcp").Out); got != "1" { // 8001, established
		t.Errorf("%s connections have continued, want 1", got)
	}
	b.Must("sed -i s/:8003/8003/ /run/wg0.conf")
	b.Fails(1, "wgd reload /run/user/1/wireguard/wg0.sock", "there is no port")
	stream(b, "127.0.0.1:8003")
	b.Must("sed -i 's/127.0.0.18003/127.0.0.1:8004/' /run/wg0.conf && kill -HUP %d", b.Daemon(lab.Ours).PID)
	lab.Until(t, 30*time.Second, "SIGHUP reloads", func() (bool, string) {
		_, err := b.TryStream(lab.Stream{Remote: netip.MustParseAddrPort("127.0.0.1:8004"), Bytes: 1})
		return err == nil, fmt.Sprint(err)
	})
	b.Fails(1, "wgd proxy /run/wg0.conf --socket /run/user/1/wireguard/wg0.sock", "already running")
	b.Must("kill -TERM %d", b.Daemon(lab.Ours).PID)
	foregroundEnds(t, b, "0")
	if b.Exists("/run/f") || b.Exists("/run/user/1/wireguard/wg0.sock") {
		t.Error("a socket is left")
	}
}

// Without root, wgconfig, wgd explain and wgd reload find the proxy by its name, and wg
// does in a user and mount namespace. docs/proxy.md says how.
func TestProxyWithoutRoot(t *testing.T) {
	t.Parallel()
	_, b, _ := proxyPair(t, "[TCPClientTunnel]\nBindAddress = 127.0.0.1:8001\nTarget = sink.test:9\n")
	b.Must("install -d -m 700 -o 65534 -g 65534 /run/home && install -m 600 -o 65534 -g 65534 /etc/wireguard/wg0.conf /run/home/")
	const user = "cd /run/home && export HOME=/run/home XDG_RUNTIME_DIR=/run/home && setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all "
	b.Must("/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/foreign\")'")
	b.Fails(1, user+"wgd proxy ./wg0.conf --forward unix:/run/foreign=10.2.0.1:9", "there is a socket of another user")
	inForeground(b, user+"wgd proxy ./wg0.conf")
	lab.Until(t, 60*time.Second, "the proxy runs", func() (bool, string) {
		return b.Run(user+"wgconfig wg0 show && grep -q ':1F41 ' /proc/net/tcp").Code == 0, b.Run("cat /run/said").Out // 8001
	})
	stream(b, "127.0.0.1:8001")
	contains(t, b.Must("%swgd explain wg0", user), "peer A: works")
	contains(t, b.Must("%swgd reload wg0", user), "wg0: the file was read again")
	contains(t, b.Must(`%sunshare -Urm sh -c 'mount --bind "$XDG_RUNTIME_DIR" /run && wg show wg0'`, user), "latest handshake:")
	contains(t, b.Must("wgconfig /run/home/wireguard/wg0.sock show all"), "peer: A") // root, by the path
	b.Must("kill -TERM %d", b.Daemon(lab.Ours).PID)
	foregroundEnds(t, b, "0")
}
