package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A dead name server delays nothing: commands that set a name end at once, the daemon
// forwards packets and accepts commands, and the peer keeps its endpoint. The questions
// have the firewall mark: a rule for the mark refuses them here, and the status says so,
// although the daemon waits for a server that does not answer. // A53, A63, B63
func TestDeadNameServer(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	a.Write("/etc/resolv.conf", "nameserver 192.0.2.99\noptions timeout:30 attempts:1\n") // no host has this address
	public := func() string { return strings.TrimSpace(a.Must("wg-keygen | wg-keygen --pub")) }

	a.Must("timeout 20 wgconfig wg0 set peer b --endpoint=moved.example:1235")
	a.Must("timeout 20 wgconfig wg0 add peer c %s --endpoint=new.example:1235", public())
	b.Ping(lab.InnerA4, 3)
	a.Ping(lab.InnerB4, 3)
	a.Must("wgconfig wg0 add peer d %s --endpoint=192.0.2.98:1", public())
	shown := a.Must("wgconfig wg0 show peer b")
	contains(t, shown, "endpoint-name: moved.example:1235")
	contains(t, shown, "endpoint: 192.0.2.2:")
	contains(t, a.Must("wgconfig wg0 show peer c"), "endpoint: (none)")
	if strings.Contains(a.Must("wgconfig wg0"), "endpoint-failure") {
		t.Error("a lookup has failed at once: this test proves nothing")
	}

	a.Must("ip rule add fwmark 7 to 192.0.2.99 prohibit && wgconfig wg0 set fwmark 7")
	a.Must("wgconfig wg0 set peer d --endpoint=marked.example:1235")
	lab.Until(t, 30*time.Second, "the question with the mark is refused", func() (bool, string) {
		out := a.Must("wgconfig wg0 show peer d")
		return strings.Contains(out, "permission denied"), out
	})
	b.Ping(lab.InnerA4, 1)
}

// A peer whose name gets another address is reached there, without any command.
func TestNameMoves(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	a.Must("echo 192.0.2.2 b.example >> /etc/hosts")
	a.Must("wgconfig wg0 set peer b --endpoint=b.example:1235")
	a.Ping(lab.InnerB4, 1)
	contains(t, a.Must("wgconfig wg0 show peer b --json"), `"endpoint_name": "b.example:`)

	b.Must("ip addr add 192.0.2.22/24 dev eth0 && ip addr del 192.0.2.2/24 dev eth0 && (ip addr add 192.0.2.22/24 dev eth0 2>/dev/null || true)")
	a.Must("sed -i s/192.0.2.2/192.0.2.22/ /etc/hosts")
	lab.Until(t, 60*time.Second, "the new address is used", func() (bool, string) {
		a.Run("ping -c 1 -W 1 " + lab.InnerB4)
		out := a.Must("wgconfig wg0 show peer b")
		return strings.Contains(out, "endpoint: 192.0.2.22:"), out
	})
	a.Ping(lab.InnerB4, 1)
}
