package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// If another program deletes the interface, the daemon logs that and ends, and its
// socket is removed. // A62, B18
func TestDeletedUnderneath(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	a.Must("ip link del wg0")
	ends(t, a, 10*time.Second)
	if a.Exists("/run/wireguard/wg0.sock") {
		t.Error("the socket is still there")
	}
	contains(t, a.Must("cat /run/wgd.log"), "the interface was deleted: the daemon ends with it")
	a.Must("wg-ifconfig wg0 create && wg-ifconfig wg0 destroy")
	ends(t, a, 10*time.Second)

	// In the foreground as well, with a message and exit status 0.
	r := a.RunFor(20*time.Second, "(until wg show wg0 >/dev/null 2>&1; do sleep 0.05; done; ip link del wg0) & wgd -f wg0", nil)
	if r.Code != 0 || !strings.Contains(r.Err, "the interface was deleted: the daemon ends with it") {
		t.Errorf("wgd -f, its interface deleted: exit status %d\n%s", r.Code, r.Err)
	}
}

// SIGTERM and SIGINT end the daemon: it removes the socket and the interface, and exits
// with status 0.
func TestSignals(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, signal := range []string{"TERM", "INT"} {
		r := h.RunFor(20*time.Second, "wgd -f wg0 & p=$!; while ! wg show wg0 >/dev/null 2>&1; do sleep 0.05; done; kill -"+signal+" $p; wait $p", nil)
		if r.Code != 0 || r.Took > 10*time.Second {
			t.Errorf("SIG%s: exit status %d after %v\n%s", signal, r.Code, r.Took, r.Err)
		}
		nothingLeft(t, h)
	}
	h.Must("wg-ifconfig wg0 create && wg-ifconfig wg0 up")
	h.Must("kill -TERM %d", h.Daemon(lab.Ours).PID)
	nothingLeft(t, h)
}

// A second daemon for the same interface refuses to start, and does not disturb the
// first. What a killed daemon left does not keep another from starting.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	a.Fails(1, "wgd wg0", "is already running")
	a.Fails(1, "wgd -f wg0", "is already running")
	a.Must("wg show wg0")
	b.Ping(lab.InnerA4, 1)
	a.Daemon(lab.Ours).Kill()
	ends(t, a, 10*time.Second)
	if !a.Exists("/run/wireguard/wg0.sock") {
		t.Error("there is no stale socket: this test proves nothing")
	}
	a.Fails(1, "wgconfig wg0 show all", "no such interface")
	a.Must("wgd wg0 && wg show wg0")
}

// The daemon does not keep the working directory or the output of the command that
// started it, and ignores its umask.
func TestBackground(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mkdir /run/here && mount -t tmpfs none /run/here")
	out := h.Must("cd /run/here && echo started: $(wgd wg0)")
	same(t, out, "started:\n")
	h.Must("umount /run/here")
	h.Must("umask 0; wgd wg1")
	mode := h.Must("stat -c %%a /run/wireguard /run/wireguard/wg1.sock")
	same(t, mode, "755\n600\n")
}

// An interface can be destroyed right after its start, many times, and during
// handshakes. // B25, B55, B59
func TestStartAndStop(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	for i := range 15 {
		tb := b.Tunnel(lab.Settings{Addresses: []string{"10.2.0.2/24"}})
		tb.Add(ta, lab.Peer{AllowedIPs: "10.2.0.1/32", Endpoint: "192.0.2.1:1234", Keepalive: 1})
		if i%3 == 0 {
			b.Run("ping -c 1 -W 0.1 10.2.0.1")
		}
		b.Must("wgconfig wg0 delete peer a")
		r := b.Run("wg-ifconfig wg0 destroy")
		if r.Code != 0 || r.Took > 10*time.Second {
			t.Fatalf("round %d: destroy: exit status %d after %v\n%s", i, r.Code, r.Took, r.Err)
		}
		nothingLeft(t, b)
	}
}

// When the interface moves to another namespace, the sockets stay in the first one. The
// daemon still notices up, down, a new MTU and deletion. // A55
func TestMovedInterface(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	c := lab.NewHost(t, "c") // without links
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	b.Ping(lab.InnerA4, 1)
	a.RunInNetns(fmt.Sprintf("ip link set wg0 netns %d", c.PID()))
	c.Must("ip addr add 10.2.0.1/24 dev wg0 && ip addr add fd00:2::1/64 dev wg0 nodad && ip link set wg0 up")
	c.AwaitAddresses("wg0")
	c.PingWithin(12*time.Second, lab.InnerB4) // the move brought it down, so A needs a new session
	b.Ping(lab.InnerA4, 1)
	c.Ping(lab.InnerB6, 2)
	c.Echo()

	// The daemon notices the new MTU.
	c.Must("ip link set wg0 mtu 9000")
	b.Must("ip link set wg0 mtu 9000")
	for _, h := range []*lab.Host{a, b} {
		lab.Until(t, 10*time.Second, "the MTU is known", func() (bool, string) {
			out := h.Must("wgconfig wg0 show all --json")
			return strings.Contains(out, `"mtu": 9000`) || strings.Contains(out, `"mtu":9000`), out
		})
	}
	b.Sweep(lab.Sweep{Remote: addr(lab.InnerA4), From: 8900, To: 8972, Train: 4})

	// Down closes the port, up opens it.
	open := func() bool { return strings.Contains(a.Must("cat /proc/net/udp"), ":04D2 ") }
	if !open() {
		t.Fatal("port 1234 is not open in the first namespace")
	}
	c.Must("ip link set wg0 down")
	lab.Until(t, 10*time.Second, "the port closes", func() (bool, string) { return !open(), "it is open" })
	c.Must("ip link set wg0 up")
	lab.Until(t, 10*time.Second, "the port opens", func() (bool, string) { return open(), "it is closed" })
	c.PingWithin(12*time.Second, lab.InnerB4)

	// The daemon notices the deletion.
	c.Must("ip link del wg0")
	ends(t, a, 10*time.Second)
	_, _ = ta, tb
}

// The daemon does not keep a namespace alive into which its interface was moved: when
// that is deleted, the interface is too, and the daemon ends. // A55, A62, B52
func TestDeletedNamespace(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	c := lab.NewHost(t, "c")
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	b.Ping(lab.InnerA4, 1)
	a.RunInNetns(fmt.Sprintf("ip link set wg0 netns %d", c.PID()))
	c.Must("ip addr add 10.2.0.1/24 dev wg0 && ip link set wg0 up")
	c.PingWithin(12*time.Second, lab.InnerB4)
	c.Halt()
	ends(t, a, 10*time.Second)
	if a.Exists("/run/wireguard/wg0.sock") {
		t.Error("the socket is still there")
	}
}
