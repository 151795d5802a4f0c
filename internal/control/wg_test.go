package control_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/invalid"
	"wgd/key"
)

// These tests use the socket with the program wg of wireguard-tools. It uses only
// sockets in /var/run/wireguard, so each call runs in a mount namespace in which
// that is the directory of the test.

// wg runs the program and returns its output.
func wg(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	script := `mount --bind "$0" "$(readlink -f /var/run)" && exec wg "$@"`
	run := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, filepath.Dir(control.Dir)}, args...)...)
	run.Stdin = strings.NewReader(stdin)
	run.Env = append(os.Environ(), "WG_HIDE_KEYS=never", "LC_ALL=C", "WG_COLOR_MODE=never")
	text, err := run.CombinedOutput()
	return string(text), err
}

func mustWg(t *testing.T, args ...string) string {
	t.Helper()
	text, err := wg(t, "", args...)
	if err != nil {
		t.Fatalf("wg %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return text
}

// requireWg skips the test if wg cannot run; in CI it fails instead.
func requireWg(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("wg")
	if err == nil && os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root and wireguard-tools")
	}
	t.Skip("LEFT OUT: the socket with wireguard-tools' wg: needs root and wg")
}

func serveWgTarget(t *testing.T) *controltest.Target {
	t.Helper()
	requireWg(t)
	useTempDir(t)
	target := controltest.New(conf.Status{Tunables: conf.DefaultTunables(), MTU: 1420, Up: true})
	serve(t, "wg0", target)
	return target
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	private = key.NewPrivate(&[32]byte{8, 1})
	psk     = key.NewPreshared(&[32]byte{8, 1})
	peerB   = key.NewPrivate(&[32]byte{16, 1}).Public()
	peerC   = key.NewPrivate(&[32]byte{24, 1}).Public()
)

// A11: wg can add, show and remove a peer with a key of low order, and with the
// zero key.
func TestWgLowOrderPeer(t *testing.T) {
	serveWgTarget(t)
	for _, k := range []key.Public{{}, {1}} {
		mustWg(t, "set", "wg0", "peer", k.Base64(), "allowed-ips", "10.9.0.0/16")
		if got, want := mustWg(t, "show", "wg0", "allowed-ips"), k.Base64()+"\t10.9.0.0/16\n"; got != want {
			t.Errorf("wg show: got %q, want %q", got, want)
		}
		mustWg(t, "set", "wg0", "peer", k.Base64(), "remove")
	}
}

// TestWgSet: every setting of `wg set` is applied.
func TestWgSet(t *testing.T) {
	target := serveWgTarget(t)
	mustWg(t, "set", "wg0", "private-key", writeFile(t, private.Base64()+"\n"), "listen-port", "51820", "fwmark", "0x1234",
		"peer", peerB.Base64(), "preshared-key", writeFile(t, psk.Base64()), "endpoint", "[2001:db8::1]:7",
		"persistent-keepalive", "25", "allowed-ips", "10.1.2.3/8,fd00::/64",
		"peer", peerC.Base64(), "endpoint", "192.0.2.1:8", "allowed-ips", "10.9.0.0/16")
	want := []conf.PeerStatus{
		{PublicKey: peerB, PresharedKey: psk, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:7"), PersistentKeepalive: 25,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/64")}},
		{PublicKey: peerC, Endpoint: netip.MustParseAddrPort("192.0.2.1:8"),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}},
	}
	s := target.Status()
	if !s.PrivateKey.Equal(private) || s.ListenPort != 51820 || s.FirewallMark != 0x1234 || !reflect.DeepEqual(s.Peers, want) {
		t.Errorf("after wg set: %+v", s)
	}
	// A50, B64: an allowed IP moves to another peer in one step.
	mustWg(t, "set", "wg0", "peer", peerC.Base64(), "persistent-keepalive", "off", "allowed-ips", "fd00::1/64")
	s = target.Status()
	if len(s.Peers[0].AllowedIPs) != 1 || s.Peers[1].AllowedIPs[0].String() != "fd00::/64" || len(s.Peers[1].AllowedIPs) != 1 {
		t.Errorf("after the move: %+v", s.Peers)
	}
	mustWg(t, "set", "wg0", "fwmark", "off", "private-key", "/dev/null", "peer", peerC.Base64(), "remove",
		"peer", peerB.Base64(), "preshared-key", "/dev/null", "allowed-ips", "")
	s = target.Status()
	if len(s.Peers) != 1 || s.FirewallMark != 0 || !s.PrivateKey.IsZero() || !s.Peers[0].PresharedKey.IsZero() || len(s.Peers[0].AllowedIPs) != 0 {
		t.Errorf("after the removal: %+v", s)
	}
}

// TestWgReportsTheError: wg prints the text of strerror(3) for the number that we
// send.
func TestWgReportsTheError(t *testing.T) {
	target := serveWgTarget(t)
	for err, want := range map[error]string{
		invalid.Errorf("wrong"):                     "Unable to modify interface: Invalid argument",
		fmt.Errorf("port: %w", addressInUse()):      "Unable to modify interface: Address already in use",
		fmt.Errorf("no number is known for this"):   "Unable to modify interface: Input/output error",
		fmt.Errorf("no device: %w", notPermitted()): "Unable to modify interface: Operation not permitted",
	} {
		target.Refuse(err)
		if text, _ := wg(t, "", "set", "wg0", "listen-port", "5"); strings.TrimSpace(text) != want {
			t.Errorf("%v: wg prints %q, want %q", err, text, want)
		}
	}
}

func fillConnections(t *testing.T) *controltest.Target {
	t.Helper()
	target := serveWgTarget(t)
	target.Set(func(s *conf.Status) {
		s.PrivateKey, s.PublicKey, s.ListenPort, s.FirewallMark = private, private.Public(), 51820, 0x10
		s.Fault, s.AEAD = "a sentence", "AVX-512 IFMA"
		s.Drops = []conf.Drop{{Reason: "replay", Count: 3}}
		s.Counters = []conf.Counter{{Name: "ecn-unmarked", Count: 3}}
		s.Peers = []conf.PeerStatus{
			{PublicKey: peerB, Name: "B", PresharedKey: psk, Endpoint: netip.MustParseAddrPort("192.0.2.1:8"), PersistentKeepalive: 25,
				LastHandshake: time.Now().Add(-70 * time.Second), RxBytes: 2048, TxBytes: 100,
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/64")}},
			{PublicKey: peerC},
		}
	})
	return target
}

// TestWgShow: our additional keys disturb no form of `wg show`.
func TestWgShow(t *testing.T) {
	target := fillConnections(t)
	s := target.Status()
	b, c := peerB.Base64(), peerC.Base64()
	want := fmt.Sprintf(`interface: wg0
  public key: %s
  private key: %s
  listening port: 51820
  fwmark: 0x10

peer: %s
  preshared key: %s
  endpoint: 192.0.2.1:8
  allowed ips: 10.0.0.0/8, fd00::/64
  latest handshake: 1 minute, 10 seconds ago
  transfer: 2.00 KiB received, 100 B sent
  persistent keepalive: every 25 seconds

peer: %s
  allowed ips: (none)
`, private.Public().Base64(), private.Base64(), b, psk.Base64(), c)
	got := strings.ReplaceAll(mustWg(t, "show"), "11 seconds", "10 seconds")
	if got != want {
		t.Errorf("wg show: got\n%s\nwant\n%s", got, want)
	}
	for what, want := range map[string]string{
		"public-key":           private.Public().Base64() + "\n",
		"private-key":          private.Base64() + "\n",
		"listen-port":          "51820\n",
		"fwmark":               "0x10\n",
		"peers":                b + "\n" + c + "\n",
		"preshared-keys":       b + "\t" + psk.Base64() + "\n" + c + "\t(none)\n",
		"endpoints":            b + "\t192.0.2.1:8\n" + c + "\t(none)\n",
		"allowed-ips":          b + "\t10.0.0.0/8 fd00::/64\n" + c + "\t(none)\n",
		"latest-handshakes":    fmt.Sprintf("%s\t%d\n%s\t0\n", b, s.Peers[0].LastHandshake.Unix(), c),
		"transfer":             b + "\t2048\t100\n" + c + "\t0\t0\n",
		"persistent-keepalive": b + "\t25\n" + c + "\toff\n",
		"dump": fmt.Sprintf("%s\t%s\t51820\t0x10\n%s\t%s\t192.0.2.1:8\t10.0.0.0/8,fd00::/64\t%d\t2048\t100\t25\n%s\t(none)\t(none)\t(none)\t0\t0\t0\toff\n",
			private.Base64(), private.Public().Base64(), b, psk.Base64(), s.Peers[0].LastHandshake.Unix(), c),
	} {
		if got := mustWg(t, "show", "wg0", what); got != want {
			t.Errorf("wg show wg0 %s: got\n%s\nwant\n%s", what, got, want)
		}
	}
	if got := mustWg(t, "show", "interfaces"); got != "wg0\n" {
		t.Errorf("wg show interfaces: got %q", got)
	}
	if got := mustWg(t, "show", "all", "listen-port"); got != "wg0\t51820\n" {
		t.Errorf("wg show all listen-port: got %q", got)
	}
	empty := serveWgTarget(t)
	if got := mustWg(t, "show", "wg0"); got != "interface: wg0\n" {
		t.Errorf("wg show of an empty interface: got %q (state %+v)", got, empty.Status())
	}
}

// TestWgConfigurations: showconf, setconf, addconf and syncconf work, and peers
// keep their names.
func TestWgConfigurations(t *testing.T) {
	target := fillConnections(t)
	text := mustWg(t, "showconf", "wg0")
	want := fmt.Sprintf(`[Interface]
ListenPort = 51820
FwMark = 0x10
PrivateKey = %s

[Peer]
PublicKey = %s
PresharedKey = %s
AllowedIPs = 10.0.0.0/8, fd00::/64
Endpoint = 192.0.2.1:8
PersistentKeepalive = 25

[Peer]
PublicKey = %s
`, private.Base64(), peerB.Base64(), psk.Base64(), peerC.Base64())
	if text != want {
		t.Errorf("wg showconf: got\n%s\nwant\n%s", text, want)
	}
	path := writeFile(t, text)
	before := target.Status()
	for _, command := range []string{"setconf", "syncconf", "addconf"} {
		mustWg(t, command, "wg0", path)
		if got := target.Status(); !reflect.DeepEqual(got, before) {
			t.Errorf("wg %s with the output of wg showconf: got\n%+v\nwant\n%+v", command, got, before)
		}
	}
	d := key.NewPrivate(&[32]byte{32, 1}).Public()
	mustWg(t, "addconf", "wg0", writeFile(t, "[Peer]\nPublicKey = "+d.Base64()+"\nAllowedIPs = 10.0.0.0/8\n"))
	s := target.Status()
	if len(s.Peers) != 3 || len(s.Peers[2].AllowedIPs) != 1 || len(s.Peers[0].AllowedIPs) != 1 {
		t.Errorf("addconf: %+v", s.Peers)
	}
	only := writeFile(t, "[Interface]\nListenPort = 9\n[Peer]\nPublicKey = "+peerB.Base64()+"\nAllowedIPs = 10.3.0.0/16\n")
	for _, command := range []string{"syncconf", "setconf"} {
		mustWg(t, command, "wg0", only)
		s = target.Status()
		if s.ListenPort != 9 || len(s.Peers) != 1 || s.Peers[0].Name != "B" || s.Peers[0].AllowedIPs[0].String() != "10.3.0.0/16" {
			t.Errorf("%s: %+v", command, s)
		}
	}
}

// TestWgLarge: wg can set and read 130,560 prefixes and 10,000 peers (B22, B60).
func TestWgLarge(t *testing.T) {
	target := serveWgTarget(t)
	for _, want := range []conf.Status{large(10000, 130560), large(1, 130560)} {
		var text strings.Builder
		for _, p := range want.Peers {
			fmt.Fprintf(&text, "[Peer]\nPublicKey = %s\n", p.PublicKey.Base64())
			for _, prefix := range p.AllowedIPs {
				fmt.Fprintf(&text, "AllowedIPs = %s\n", prefix)
			}
		}
		start := time.Now()
		mustWg(t, "setconf", "wg0", writeFile(t, text.String()))
		if got := target.Status(); !reflect.DeepEqual(got.Peers, want.Peers) {
			t.Fatalf("%d peers: the state differs from what wg set", len(want.Peers))
		}
		lines := strings.Count(mustWg(t, "show", "wg0", "allowed-ips"), "\n")
		if lines != len(want.Peers) {
			t.Errorf("wg shows %d peers, want %d", lines, len(want.Peers))
		}
		if took := time.Since(start); took > 5*time.Minute {
			t.Errorf("took %v", took)
		}
	}
}

func addressInUse() error { return os.NewSyscallError("bind", syscall.EADDRINUSE) }
func notPermitted() error { return os.NewSyscallError("ioctl", syscall.EPERM) }
