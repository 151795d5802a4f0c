package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// Without /dev/net/tun no command starts a daemon, and the error names the file.
func TestNoTUNDevice(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mount -t tmpfs none /dev/net")
	for _, line := range []string{"wg-ifconfig wg0 create", "wgd wg0", "wgd -f wg0"} {
		h.Fails(1, line, "/dev/net/tun")
	}
	nothingLeft(t, h)
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, line := range []string{
		"setpriv --reuid 65534 --clear-groups wgd wg0",
		"setpriv --bounding-set -net_admin --inh-caps -net_admin wg-ifconfig wg0 create",
	} {
		h.Fails(1, line, "permission", "root")
	}
	nothingLeft(t, h)

	h.Must("wg-ifconfig wg0 create")
	h.Fails(1, "setpriv --reuid 65534 --clear-groups wgconfig wg0 set listen-port 5", "permission")
	h.Fails(1, "setpriv --reuid 65534 --clear-groups wg-ifconfig wg0 up", "permission", "root")
}

// nothingLeft waits until no daemon runs on a host. Then there must be no interface and
// no socket.
func nothingLeft(t *testing.T, h *lab.Host) {
	t.Helper()
	ends(t, h, 10*time.Second)
	if h.Exists("/run/wireguard/wg0.sock") {
		t.Errorf("host %s still has the socket", h.Name)
	}
	if r := h.Run("ip link show wg0"); r.Code == 0 {
		t.Errorf("host %s still has the interface", h.Name)
	}
}

// If another program has the port, `up` fails with a message, and the status shows the
// error until the interface has another port.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	a.Must("wg-keygen > /etc/wg/wg0; wg-ifconfig wg0 create; wgconfig wg0 set private-key /etc/wg/wg0; wgconfig wg0 set listen-port 7")
	a.Echo() // on port 7
	a.Fails(1, "wg-ifconfig wg0 up", "port 7", "taken")
	contains(t, a.Must("wgconfig wg0 show all --json"), "taken")
	a.Must("wgconfig wg0 set listen-port 1234")
	a.Must("wg-ifconfig wg0 down && wg-ifconfig wg0 up")
	if strings.Contains(a.Must("wgconfig wg0 show all --json"), "taken") {
		t.Error("the status still shows the error")
	}
	a.Fails(1, "wgconfig wg0 set listen-port 7", "port 7", "taken")
	_ = b
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("ip link add wg7 type bridge")
	h.Fails(1, "wg-ifconfig wg7 create", "wg7", "exists already and is not a wg interface")
	h.Fails(1, "wgd wg7", "there is an interface wg7 already")
	h.Must("ip link show wg7 && wg-ifconfig wg0 create")
	h.Fails(1, "wg-ifconfig wg0 create", "wg0", "exists already")
	h.Fails(1, "wgd wg0", "wg0 is already running")
	h.Fails(1, "wg-ifconfig wg1 up", "wg1: does not exist")
	h.Fails(1, "wg-ifconfig wg1 destroy", "wg1: does not exist")
	h.Fails(1, "wg-ifconfig wg1", "wg1: does not exist")
	h.Fails(1, "wgconfig wg1 show all", "wg1: no such interface")
	h.Fails(1, "wg-ifconfig "+strings.Repeat("x", 16)+" create", "has 16 bytes: the maximum is 15")
	same(t, h.Must("wg-ifconfig -l"), "wg0\n")
}

// On a host without IPv6, a tunnel over IPv4 works. // A53, B21
func TestNoIPv6(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	for _, h := range []*lab.Host{a, b} {
		h.Must("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
	}
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	tb := b.Tunnel(lab.Settings{Addresses: []string{"10.2.0.2/24"}})
	ta.Add(tb, lab.Peer{AllowedIPs: "10.2.0.2/32"})
	tb.Add(ta, lab.Peer{AllowedIPs: "10.2.0.1/32", Endpoint: "192.0.2.1:1234"})
	b.Ping("10.2.0.1", 2)
	a.Ping("10.2.0.2", 2)
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wg-ifconfig wg0 create")
	good := strings.TrimSpace(h.Must("wg-keygen | tee /etc/wg/good | wg-keygen --pub"))
	for _, bad := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 44), good[:42] + "!=", good + good, "-----BEGIN KEY-----"} {
		h.Write("/etc/wg/bad", bad+"\n")
		text := h.Fails(1, "wgconfig wg0 set private-key /etc/wg/bad", "/etc/wg/bad: private key: ")
		if len(bad) > 8 && strings.Contains(text, bad) {
			t.Errorf("the error contains what is in the key file: %s", text)
		}
		h.Fails(1, "wg-keygen --pub < /etc/wg/bad", "wg-keygen: standard input: ")
		h.Fails(1, "wgconfig wg0 add peer b -- '"+bad+"'", "peer b: public key: ")
		h.Fails(1, "wgconfig wg0 add peer b "+good+" --preshared-key=/etc/wg/bad", "peer b: /etc/wg/bad: ")
	}
	h.Fails(1, "wgconfig wg0 set private-key /etc/wg/absent", "/etc/wg/absent: there is no such key file")
	if out := h.Must("wg show wg0 peers"); out != "" {
		t.Errorf("a refused command added a peer: %s", out) // A59
	}

	// A key file that others can read is used, with a warning.
	h.Must("chmod 644 /etc/wg/good")
	r := h.Run("wgconfig wg0 set private-key /etc/wg/good")
	if r.Code != 0 || !strings.Contains(r.Err, "/etc/wg/good") || !strings.Contains(r.Err, "read") {
		t.Errorf("a key file that others can read: exit status %d, want 0 and a warning\n%s", r.Code, r.Err)
	}
	h.Must("chmod 600 /etc/wg/good")
	if r := h.Run("wgconfig wg0 set private-key /etc/wg/good"); r.Err != "" {
		t.Errorf("a warning about a key file that only its owner can read: %s", r.Err)
	}
	same(t, h.Must("wg show wg0 public-key"), good+"\n")
}

// Commands with a mistake change nothing. Usage errors print the usage line and exit
// with status 2. // A59
func TestRefusals(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wg-ifconfig wg0 create")
	k := strings.TrimSpace(h.Must("wg-keygen | wg-keygen --pub"))
	k2 := strings.TrimSpace(h.Must("wg-keygen | wg-keygen --pub"))
	h.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", k)
	before := h.Must("wgconfig wg0 show all --json")
	for _, c := range []struct {
		code  int
		line  string
		words []string
	}{
		{1, "wgconfig wg0 add peer c " + k2 + " --allowed-ips=10.0.0.0/33", []string{"10.0.0.0/33: prefix length over 32"}},
		{1, "wgconfig wg0 add peer c " + k2 + " --allowed-ips=10.0.0.0/24,nonsense", []string{`allowed-ips nonsense: not an IP address`}},
		{1, "wgconfig wg0 add peer c " + k2 + " --endpoint=192.0.2.1", []string{`endpoint "192.0.2.1": no port`}},
		{1, "wgconfig wg0 add peer c " + k2 + " --endpoint=192.0.2.1:70000", []string{"port 70000: ports are 1 to 65535"}},
		{1, "wgconfig wg0 add peer b " + k2, []string{"peer b: wg0 has a peer with this name"}},
		{1, "wgconfig wg0 add peer c " + k, []string{"wg0 already has this public key, as peer b"}},
		{1, "wgconfig wg0 add peer 'no spaces' " + k2, []string{"no spaces: ' ' is not allowed in a name"}},
		{1, "wgconfig wg0 show peer nobody", []string{"nobody: wg0 has no such peer"}},
		{1, "wgconfig wg0 delete peer nobody", []string{"nobody: wg0 has no such peer"}},
		{1, "wgconfig wg0 set peer nobody --persistent-keepalive=5", []string{"nobody: wg0 has no such peer"}},
		{1, "wgconfig wg0 set listen-port 70000", []string{"70000: give a port from 1 to 65535"}},
		{1, "wgconfig wg0 set peer b --persistent-keepalive=70000", []string{"70000: give 1 to 65535 seconds"}},
		{1, "wgconfig wg0 sysctl -w net.wg.nothing=1", []string{"net.wg.nothing: no such tunable"}},
		{1, "wg-ifconfig wg0 mtu 70000", []string{"from 68 to 65535"}},
		{1, "wg-ifconfig wg0 inet 10.0.0.0/33", []string{"10.0.0.0/33", "from 0 to 32"}},
		{2, "wgconfig wg0 set", []string{"usage"}},
		{2, "wgconfig wg0 add peer c", []string{"usage"}},
		{2, "wgconfig wg0 show nonsense", []string{"usage"}},
		{2, "wgconfig", []string{"usage"}},
		{2, "wg-ifconfig wg0 nonsense", []string{"usage"}},
		{2, "wg-keygen --nonsense", []string{"usage"}},
		{2, "wgd", []string{"usage"}},
	} {
		h.Fails(c.code, c.line, append(c.words, strings.Fields(c.line)[0])...)
	}
	if after := h.Must("wgconfig wg0 show all --json"); after != before {
		t.Errorf("refused commands changed the configuration:\n%s\nbefore:\n%s", after, before)
	}
}
