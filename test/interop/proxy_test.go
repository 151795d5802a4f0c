package interop

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// wgd proxy works with wireguard-go: TCP in both directions and over both families, and
// pings in both directions.
func TestProxyWithWireguardGo(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Daemon: lab.Theirs, Port: 1234, Addresses: []string{lab.InnerA4 + "/24", lab.InnerA6 + "/64"}})
	keys := strings.Fields(b.Must("k=$(wg-keygen); echo $k; echo $k | wg-keygen --pub"))
	ta.AddKey(keys[1], lab.Peer{AllowedIPs: lab.InnerB4 + "/32," + lab.InnerB6 + "/128"})
	b.Must(`umask 077; cat > /etc/wireguard/p.conf <<'END'
[Interface]
PrivateKey = %s
Address = %s, %s
[Peer]
PublicKey = %s
Endpoint = 192.0.2.1:1234
[TCPClientTunnel]
BindAddress = 127.0.0.1:8001
Target = %s:9
[TCPClientTunnel]
BindAddress = 127.0.0.1:8002
Target = [%s]:9
[TCPServerTunnel]
ListenPort = 80
Target = 127.0.0.1:9
END`, keys[0], lab.InnerB4, lab.InnerB6, ta.Public, lab.InnerA4, lab.InnerA6)
	contains := func(out, want string) {
		t.Helper()
		if !strings.Contains(out, want) {
			t.Errorf("got %s\nwant %s", out, want)
		}
	}
	contains(b.Must("wgd proxy p --ping %s", lab.InnerA4), "4 received, 0% packet loss")
	contains(b.Must("wgd proxy p --ping %s", lab.InnerA6), "4 received, 0% packet loss")
	a.Sink(9)
	b.Sink(9)
	b.Must("wgd proxy p </dev/null >/run/said 2>&1 &")
	lab.Until(t, 60*time.Second, "the proxy runs", func() (bool, string) {
		return b.Run("grep -q ':1F42 ' /proc/net/tcp").Code == 0, b.Run("cat /run/said").Out // 8002
	})
	for _, to := range []string{"127.0.0.1:8001", "127.0.0.1:8002"} {
		b.Stream(lab.Stream{Remote: addrPort(to), Bytes: 4 << 20})
	}
	for _, to := range []string{lab.InnerB4 + ":80", "[" + lab.InnerB6 + "]:80"} {
		a.Stream(lab.Stream{Remote: addrPort(to), Bytes: 4 << 20})
	}
	a.Ping(lab.InnerB4, 2)
	a.Ping(lab.InnerB6, 2)
}
