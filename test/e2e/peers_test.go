package e2e

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/test/lab"
)

// buildPeers builds wgd-peers, which is a module of its own, once.
var buildPeers = sync.OnceValue(func() error {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	return lab.BuildFrom(filepath.Join(root, "cmd/wgd-peers"), ".", "wgd-peers")
})

// servePeers starts wgd-peers serve on a gateway.
func servePeers(t *testing.T, h *lab.Host, options string) (pid string) {
	t.Helper()
	if err := buildPeers(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(h.Must("setsid wgd-peers serve wg0 %s >>/run/serve.log 2>&1 </dev/null & echo $!", options))
}

// untilLog waits until the log of wgd-peers serve has a text a number of times.
func untilLog(t *testing.T, h *lab.Host, text string, times int) {
	t.Helper()
	lab.Until(t, 30*time.Second, "the log has "+text, func() (bool, string) {
		log := h.Must("cat /run/serve.log")
		return strings.Count(log, text) >= times, log
	})
}

const serveWorks = "wg0: the daemon works"

// isOut reports whether the interface of a gateway has no peer b, and what it says of it.
func isOut(h *lab.Host) (out bool, text string) {
	r := h.Run("wgconfig wg0 show peer b")
	return r.Code != 0 && strings.Contains(r.Err, "wg0 has no such peer"), r.Out + r.Err
}

// A client that is configured nowhere but in the store comes up with its first initiation,
// through wgd-peers serve, which was started before the interface and made the store. It is
// out within a second when it is revoked, and in again when it is not any more. It does not
// notice that wgd-peers is killed, or that the daemon has forgotten it.
func TestServe(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	pid := servePeers(t, a, "")
	untilLog(t, a, "serving wg0 from the store /var/lib/wgd/peers.db", 1)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	untilLog(t, a, serveWorks, 1)
	tb := b.Tunnel(lab.Settings{Addresses: []string{lab.InnerB4 + "/24"}})
	a.Must("wgd-peers add b --public-key=%s --allowed-ips=%s/32", tb.Public, lab.InnerB4)
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:1234"})
	times, lost := b.PingTimes(lab.InnerA4, 3, 200*time.Millisecond)
	if lost != 0 || times[0] > 4*time.Second {
		t.Errorf("the first pings were answered after %v, %d lost\n%s", times, lost, a.Must("cat /run/serve.log"))
	}
	if n := strings.TrimSpace(b.Must("grep -c 'handshake initiation sent' /run/wgd.log")); n != "1" {
		t.Errorf("the client has sent %s initiations, want 1", n)
	}
	lab.Until(t, 10*time.Second, "the store knows where the client is", func() (bool, string) {
		text := a.Must("wgd-peers list b")
		return strings.Contains(text, "last-endpoint: 192.0.2.2:"), text
	})

	b.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=1 && wgconfig wg0 sysctl -w net.wg.keepalive_timeout=1") // so that it soon tries again
	contains(t, a.Must("wgd-peers status"), "\tdaemon: works")
	contains(t, a.Must("wgd-peers status --peers"), " wg0: 192.0.2.2:")
	if _, mode, _ := strings.Cut(a.Must("stat -c 'mode %%a' /run/wgd-peers/wg0.sock"), "mode "); mode != "600\n" {
		t.Errorf("the mode of the socket is %s", mode)
	}
	contains(t, a.Run("wgd-peers serve wg0").Err, "wg0: another wgd-peers serves this interface")

	a.Must("wgd-peers set b --revoke")
	begin := time.Now()
	lab.Until(t, 30*time.Second, "the revoked peer is out", func() (bool, string) { return isOut(a) })
	if took := time.Since(begin); took > 3*time.Second { // it is a second, and programs start slowly on a busy machine
		t.Errorf("the revoked peer was out after %v", took)
	}
	if r := b.Run("ping -n -c 2 -i 0.2 -W 1 " + lab.InnerA4); r.Code == 0 {
		t.Errorf("a revoked peer is answered:\n%s", r.Out)
	}
	a.Must("wgd-peers set b --restore")
	lab.Until(t, 30*time.Second, "the restored peer is heard", func() (bool, string) {
		r := b.Run("ping -n -c 1 -W 1 " + lab.InnerA4)
		return r.Code == 0, r.Out + a.Must("cat /run/serve.log")
	})

	// The daemon forgets the peer, as one that was restarted, or another gateway of the same
	// key. The client still has a session, and finds out after 15 seconds on its own.
	b.Must("for o in rekey_timeout=5 keepalive_timeout=10; do wgconfig wg0 sysctl -w net.wg.$o; done")
	// For 5 seconds after a set, data for no session is none to the daemon. Nothing shows when
	// that is over, and a sleep that takes longer does no harm.
	time.Sleep(6 * time.Second)
	a.Must("wgconfig wg0 delete peer b")
	if times, lost := b.PingTimes(lab.InnerA4, 30, 100*time.Millisecond); lost > 15 {
		t.Errorf("%d of 30 pings in 3 seconds were lost when the daemon had forgotten the client: %v\n%s", lost, times, a.Must("cat /run/serve.log; wgd-peers status"))
	}
	contains(t, a.Must("grep 'handshake initiation sent' /run/wgd.log"), "peer=b")

	a.Must("kill -9 %s", pid)
	if _, lost := b.PingTimes(lab.InnerA4, 3, 100*time.Millisecond); lost != 0 {
		t.Errorf("%d pings were lost when wgd-peers was killed", lost)
	}
	servePeers(t, a, "")
	untilLog(t, a, serveWorks, 2)
	if _, lost := b.PingTimes(lab.InnerA4, 3, 100*time.Millisecond); lost != 0 {
		t.Errorf("%d pings were lost when wgd-peers was started again", lost)
	}
	a.Must("wgd-peers set b --revoke") // the peer is found to be one that was lent
	lab.Until(t, 5*time.Second, "the revoked peer is out", func() (bool, string) {
		out, text := isOut(a)
		return out, text + a.Must("wgd-peers status")
	})
}

// A real systemd runs wgd-peers with its unit as it is, and is told when it is ready. A client
// comes up, the status is there, and a stop leaves the client alone.
func TestServeSystemd(t *testing.T) {
	t.Parallel()
	if err := buildPeers(); err != nil {
		t.Fatal(err)
	}
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	tb := b.Tunnel(lab.Settings{Addresses: []string{lab.InnerB4 + "/24"}})
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:1234"})
	s := bootWithUnit(t, a, "wgd-peers")
	s.Must("systemctl enable --now wgd-peers@wg0")
	contains(t, s.Must("systemctl status --no-pager wgd-peers@wg0"), "Status: \"serving wg0\"")
	s.Must("wgd-peers add b --public-key=%s --allowed-ips=%s/32", tb.Public, lab.InnerB4)
	b.Ping(lab.InnerA4, 3)
	lab.Until(t, 10*time.Second, "the status says where the client is", func() (bool, string) {
		text := s.Must("wgd-peers status --peers")
		return strings.Contains(text, " wg0: 192.0.2.2:"), text
	})
	s.Must("systemctl restart wgd-peers@wg0")
	b.Ping(lab.InnerA4, 3)
	s.Must("systemctl stop wgd-peers@wg0")
	if r := s.Run("systemctl is-failed wgd-peers@wg0"); strings.TrimSpace(r.Out) != "inactive" {
		t.Errorf("after stop the unit is %s: %s", r.Out, s.Must("journalctl --no-pager -u wgd-peers@wg0"))
	}
	b.Ping(lab.InnerA4, 3)
	if text := s.Must("wgd-peers list b && stat -c %%a /var/lib/wgd/peers.db"); !strings.Contains(text, "last-endpoint: 192.0.2.2:") || !strings.HasSuffix(text, "\n600\n") {
		t.Errorf("the store has\n%s", text)
	}
}
