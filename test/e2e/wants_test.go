package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// bringPeers starts the client of examples/wants on a host, with a file of peers, and
// waits until it gets wants.
func bringPeers(t *testing.T, h *lab.Host, peers string) {
	t.Helper()
	script, err := os.ReadFile("../../examples/wants/bring-peers.py")
	if err != nil {
		t.Fatal(err)
	}
	h.Write("/run/bring-peers.py", string(script))
	h.Write("/run/peers", peers)
	h.Must("setsid python3 /run/bring-peers.py wg0 /run/peers >/run/bring.out 2>&1 </dev/null &")
}

// A gateway that knows no peers learns of one when the client's first initiation
// arrives. The client of examples/wants adds it, and the first ping is answered, before
// the client would try again. One that is in no file gets no answer.
func TestWants(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	tb := b.Tunnel(lab.Settings{Addresses: []string{lab.InnerB4 + "/24"}})
	bringPeers(t, a, "")
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:1234"})
	lab.Until(t, 30*time.Second, "the stranger is refused", func() (bool, string) {
		b.Run("ping -n -c 1 -W 1 " + lab.InnerA4)
		text := a.Must("cat /run/bring.out")
		return strings.HasPrefix(text, "refused "), text
	})
	if n := len(ta.Peers()); n != 0 {
		t.Errorf("%d peers", n)
	}

	c := lab.NewHost(t, "C")
	lab.Link(c, "eth0", []string{"203.0.113.2/24"}, a, "eth9", []string{"203.0.113.1/24"})
	tc := c.Tunnel(lab.Settings{Addresses: []string{"10.2.0.3/24"}})
	a.Write("/run/peers", tc.Public+" 10.2.0.3/32\n")
	tc.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "203.0.113.1:1234"})
	times, lost := c.PingTimes(lab.InnerA4, 3, 200*time.Millisecond)
	if lost != 0 || times[0] > 4*time.Second {
		t.Errorf("the first pings were answered after %v, %d lost\n%s", times, lost, a.Must("cat /run/bring.out"))
	}
	if n := strings.TrimSpace(c.Must("grep -c 'handshake initiation sent' /run/wgd.log")); n != "1" {
		t.Errorf("the client has sent %s initiations, want 1", n)
	}
}
