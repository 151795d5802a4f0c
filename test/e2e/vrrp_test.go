package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// service is the outer address, which moves between two gateways.
const service = "192.0.2.100"

// keepGateway makes a gateway of the key of the first one, with the store that all share, and
// with keepalived as docs/fleet.md says.
func keepGateway(t *testing.T, h *lab.Host, private, storePath string, priority int) {
	t.Helper()
	h.Tunnel(lab.Settings{Port: 51820, Addresses: []string{"10.2.0.1/16"}})
	h.Must("(umask 077; echo %s >/etc/wg/wg0) && wgconfig wg0 set private-key /etc/wg/wg0", private)
	servePeers(t, h, "--store="+storePath)
	untilLog(t, h, serveWorks, 1)
	h.Write("/etc/nftables.conf", fromFleet(t, "# /etc/nftables.conf"))
	h.Must("nft -f /etc/nftables.conf")
	h.Write("/etc/keepalived.conf", fromFleet(t, "# /etc/keepalived/keepalived.conf", "priority 150", fmt.Sprint("priority ", priority),
		"/usr/bin/wgconfig", strings.TrimSpace(h.Must("command -v wgconfig"))))
	h.Must("%s -n -l -D -f /etc/keepalived.conf -p /run/keepalived.pid -r /run/vrrp.pid -c /run/checkers.pid >/run/keepalived.log 2>&1 </dev/null &", programOf(t, "keepalived", "usr/sbin/keepalived"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %s", h.Name, h.Run("tail -n 50 /run/keepalived.log; cat /run/serve.log").Out)
		}
	})
}

// has waits until a host has the service address and the interface up, or neither.
func has(t *testing.T, h *lab.Host, it bool) {
	t.Helper()
	lab.Until(t, 20*time.Second, fmt.Sprintf("%s has the address and the interface: %v", h.Name, it), func() (bool, string) {
		out := h.Must("ip -br addr; cat /run/keepalived.log | tail -n 20")
		up := strings.TrimSpace(h.Must("cat /sys/class/net/wg0/flags")) // IFF_UP is its lowest bit
		return strings.Contains(out, service+"/24") == it && strings.HasSuffix(up, "1") == it, out + up
	})
}

// The outer address of two gateways of one key moves by VRRP, with the configuration in
// docs/fleet.md: when the first one loses its link, when it comes back, while the second one
// lives, and when its daemon is killed. An unmodified client has answers again within 2 seconds
// after each move.
func TestKeepalived(t *testing.T) {
	t.Parallel()
	sw := lab.Switch(t, "sw")
	c, g1, g2 := lab.NewHost(t, "c"), lab.NewHost(t, "g1"), lab.NewHost(t, "g2")
	c.Plug(sw, "eth0", "192.0.2.1/24")
	g1.Plug(sw, "eth0", "192.0.2.11/24")
	g2.Plug(sw, "eth0", "192.0.2.12/24")
	private := strings.TrimSpace(c.Must("wg-keygen"))
	public := strings.TrimSpace(c.Must("echo %s | wg-keygen --pub", private))
	shared := filepath.Join(t.TempDir(), "peers.db")
	keepGateway(t, g1, private, shared, 150)
	keepGateway(t, g2, private, shared, 100)
	has(t, g1, true)
	has(t, g2, false)
	tc := c.Tunnel(lab.Settings{Addresses: []string{"10.2.0.9/16"}})
	g1.Must("wgd-peers --store=%s add c --public-key=%s --allowed-ips=10.2.0.9/32", shared, tc.Public)
	tc.AddKey(public, lab.Peer{Name: "gateway", AllowedIPs: "10.2.0.1/32", Endpoint: service + ":51820"})
	c.Ping("10.2.0.1", 1)
	// Nothing shows when the time is over in which the client is the one that has just been set.
	time.Sleep(6 * time.Second)

	for _, move := range []struct {
		what     string
		do       func()
		from, to *lab.Host
	}{
		{"the first gateway loses its link", func() { sw.Must("ip link set p-g1-eth0 down") }, g1, g2},
		{"the first gateway is back, and the second one is demoted", func() { sw.Must("ip link set p-g1-eth0 up") }, g2, g1},
		{"the daemon of the first gateway is killed", func() { g1.Daemon("wgd").Kill() }, nil, g2},
	} {
		pid := strings.TrimSpace(c.Must("ping -D -n -i 0.05 10.2.0.1 >/run/ping.out 2>&1 </dev/null & echo $!"))
		time.Sleep(2 * time.Second)
		move.do()
		has(t, move.to, true)
		moved := time.Now()
		if move.from != nil {
			has(t, move.from, false)
		}
		time.Sleep(time.Until(moved.Add(2500 * time.Millisecond)))
		c.Must("kill %s", pid)
		out := c.Must("cat /run/ping.out")
		replies := repliesOf(t, out)
		var gap time.Duration
		for i := 1; i < len(replies); i++ {
			gap = max(gap, replies[i].Sub(replies[i-1]))
		}
		last := 0
		for i, at := range replies {
			if at.Before(moved) {
				last = i
			}
		}
		if last+1 >= len(replies) || replies[last+1].Sub(moved) > 2*time.Second {
			t.Errorf("%s: no answer within 2 s after the move, of %d\n%s", move.what, len(replies), out)
			continue
		}
		t.Logf("%s: %d pings were answered; the longest gap is %v", move.what, len(replies), gap)
		if gap > 5*time.Second {
			t.Errorf("%s: a gap of %v", move.what, gap)
		}
		if at := c.Must("wgconfig wg0 show peer gateway"); !strings.Contains(at, service+":51820") {
			t.Errorf("%s: the client sends to %s", move.what, at)
		}
	}
}

// repliesOf returns when the pings were answered that ping -D has printed.
func repliesOf(t *testing.T, out string) (list []time.Time) {
	t.Helper()
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " time=") {
			continue
		}
		var seconds float64
		if _, err := fmt.Sscanf(line, "[%f]", &seconds); err != nil {
			t.Fatalf("ping says %q", line)
		}
		list = append(list, time.UnixMicro(int64(seconds*1e6)))
	}
	return list
}
