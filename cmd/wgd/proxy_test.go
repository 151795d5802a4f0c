package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/proxyconf"
	"wgd/internal/sys/unixsocket"
)

func addrs(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

// The pages of --ready follow handshakes and the answers to CheckAlive.
func TestReady(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var status conf.Status
	alive := errors.New("no answer")
	h := &health{status: func() conf.Status { return status }, now: func() time.Time { return now },
		ping:     func(context.Context, netip.Addr) (time.Duration, error) { return 0, alive },
		check:    proxyconf.CheckAlive{Addresses: addrs("10.2.0.1"), Interval: 5 * time.Second},
		answered: map[netip.Addr]time.Time{addrs("10.2.0.1")[0]: {}}}
	get := func(path string) (code int, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	want := func(path string, code int, body string) {
		t.Helper()
		if c, b := get(path); c != code || b != body {
			t.Errorf("%s: got %d %q, want %d %q", path, c, b, code, body)
		}
	}
	status.Peers = []conf.PeerStatus{{Name: "A"}}
	want("/", 503, "peer A: no handshake yet\n10.2.0.1: no answer to a ping in time")
	want("/readyz", 503, `{"10.2.0.1":0}`)
	status.Peers[0].LastHandshake = now.Add(-180*time.Second + time.Nanosecond)
	h.pingOnce(t.Context(), addrs("10.2.0.1")[0])
	want("/", 503, "10.2.0.1: no answer to a ping in time")
	alive = nil
	h.pingOnce(t.Context(), addrs("10.2.0.1")[0])
	want("/", 200, "ready")
	want("/readyz/", 200, `{"10.2.0.1":1800000000}`)
	now = now.Add(7 * time.Second)
	want("/readyz", 200, `{"10.2.0.1":1800000000}`)
	want("/", 503, "peer A: the last handshake was 3m7s ago")
	now = now.Add(time.Second)
	want("/readyz", 503, `{"10.2.0.1":1800000000}`)
	want("/other", 404, "the pages are /, /readyz and /metrics")
	h.check = proxyconf.CheckAlive{}
	h.answered = nil
	want("/readyz", 200, "{}")
}

// What has changed in the file and a reload does not change is named.
func TestNeedsRestart(t *testing.T) {
	const more = "[Interface]\nPrivateKey = " + checkKey + "\nAddress = 10.2.0.2/32\n"
	read := func(text string) *proxyconf.Config {
		config, problems := proxyconf.Read("p.conf", []byte(text+"[Peer]\nPublicKey = "+checkPeer+"\n"), proxyconf.Env{})
		if config == nil {
			t.Fatal(problems)
		}
		return config
	}
	first := read(more)
	tunnel := &stackTunnel{network: first.Tunnel.Interface.Network, family: first.Preferred, check: first.Check}
	for text, want := range map[string]string{
		more:                                         "",
		more + "ListenPort = 7\n":                    "",
		more + "Address = 10.2.0.3/32\n":             "Address",
		more + "MTU = 1300\nDNS = 10.2.0.1":          "MTU DNS",
		more + "FwMark = 5\n":                        "FwMark",
		more + "CheckAlive = 10.2.0.1\n":             "CheckAlive",
		"[Resolve]\nResolveStrategy = ipv4\n" + more: "ResolveStrategy",
	} {
		if got := strings.Join(tunnel.needsRestart(read(text+"\n")), " "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	tunnel.check = proxyconf.CheckAlive{Addresses: addrs("10.2.0.1"), Interval: time.Second}
	if got := tunnel.needsRestart(read(more + "CheckAlive = 10.2.0.1\n")); !slices.Equal(got, []string{"CheckAliveInterval"}) {
		t.Errorf("got %q, want CheckAliveInterval", got)
	}
}

// When the services have been stopped, a reload starts none.
func TestNoReloadAtTheEnd(t *testing.T) {
	p := &proxyRun{name: "wg0", path: filepath.Join(t.TempDir(), "none.conf")}
	p.stopAll()
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "about to end") {
		t.Errorf("a reload after the end: %v", err)
	}
}

// The socket of --ready is gone when its server has stopped.
func TestReadySocketIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	h := &health{}
	failed, stop, err := h.serve("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}

// A unix socket is for its owner only; it replaces one on which nobody listens, and no
// other file; it is removed at the end.
func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a socket in use: %v", err)
	}
	stale.Close()
	l, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// The preferred family comes first, and one that the tunnel does not have is left out.
func TestPreferredFamily(t *testing.T) {
	list := addrs("fd00::1", "10.0.0.1", "fd00::2")
	both := []netip.Prefix{netip.MustParsePrefix("10.2.0.2/32"), netip.MustParsePrefix("fd00:2::2/128")}
	for _, c := range []struct {
		family proxyconf.Family
		own    []netip.Prefix
		want   []netip.Addr
	}{
		{proxyconf.Auto, both, list},
		{proxyconf.IPv4, both, addrs("10.0.0.1", "fd00::1", "fd00::2")},
		{proxyconf.IPv6, both, addrs("fd00::1", "fd00::2", "10.0.0.1")},
		{proxyconf.Auto, both[:1], addrs("10.0.0.1")},
		{proxyconf.IPv4, both[1:], addrs("fd00::1", "fd00::2")},
	} {
		if got := prefer(list, c.family, c.own); !slices.Equal(got, c.want) {
			t.Errorf("family %v of %v: got %v, want %v", c.family, c.own, got, c.want)
		}
	}
}

// The preferred family comes first outside of the tunnel too, where no family is left out.
func TestPreferredFamilyOutside(t *testing.T) {
	for family, want := range map[proxyconf.Family][]netip.Addr{
		proxyconf.Auto: addrs("fd00::1", "10.0.0.1", "fd00::2"),
		proxyconf.IPv4: addrs("10.0.0.1", "fd00::1", "fd00::2"),
		proxyconf.IPv6: addrs("fd00::1", "fd00::2", "10.0.0.1"),
	} {
		list := addrs("fd00::1", "10.0.0.1", "fd00::2")
		if order(list, family); !slices.Equal(list, want) {
			t.Errorf("family %v: got %v, want %v", family, list, want)
		}
	}
}

// What is wrong with the command line or the file is reported before anything starts.
func TestProxyRefuses(t *testing.T) {
	dir := t.TempDir()
	defer func(before func() string) { proxyStateDir = before }(proxyStateDir)
	proxyStateDir = func() string { return dir }
	file := filepath.Join(dir, "p.conf")
	text := "[Interface]\nPrivateKey = " + checkKey + "\nAddress = 10.2.0.2/32\n[Peer]\nPublicKey = " + checkPeer + "\nAllowedIPs = 0.0.0.0/0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "the name of this file is long")
	if err := os.WriteFile(long, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := "--socket=" + filepath.Join(dir, "wg0.sock")
	for _, c := range []struct {
		args   []string
		status int
		want   []string
	}{
		{[]string{"proxy"}, 2, []string{"usage: wgd proxy CONF"}},
		{[]string{"proxy", file}, 1, []string{"there is no service: add an option such as --socks5 127.0.0.1:1080"}},
		{[]string{"proxy", long, "--socks5", ":0"}, 1, []string{"or give a name: --name wg0"}},
		{[]string{"proxy", filepath.Join(dir, "none.conf")}, 1, []string{"no such file or directory: correct the path"}},
		{[]string{"proxy", file, "--socks5", "1080", "--remote", "80", "--ready", "x"}, 1, []string{"--socks5 1080: there is no port", "--remote 80: there is no equals sign", "--ready x: there is no port"}},
		{[]string{"proxy", file, socket, "--socks5", "192.0.2.77:1"}, 1, []string{"SOCKS5 on 192.0.2.77:1: "}},
		{[]string{"proxy", file, socket, "--http", "wgd.invalid:1"}, 1, []string{"no name server outside of the tunnel is asked: give an address"}},
		{[]string{"proxy", file, socket, "--stdio", "10.2.0.1:1", "--stdio", "10.2.0.1:2"}, 1, []string{"two services want standard input"}},
		{[]string{"proxy", file, "--socket=" + filepath.Join(dir, "sock"), "--socks5", "127.0.0.1:0"}, 1, []string{"end in .sock: "}},
		{[]string{"proxy", file, socket, "--socks5", ":0", "--http", "0.0.0.0:0", "--http", "192.0.2.77:1"}, 1, []string{
			"SOCKS5 on :0: whoever reaches this computer may use the tunnel", "HTTP proxy on 0.0.0.0:0: whoever reaches", "HTTP proxy on 192.0.2.77:1: "}},
		{[]string{"proxy", file, socket, "--ping", "fd00::1"}, 1, []string{"fd00::1: the tunnel has no IPv6 address, so nothing can be sent there: add one to Address"}},
		{[]string{"proxy", file, socket, "--ping", "name.example"}, 1, []string{"name.example: names are looked up inside the tunnel only, and the file names no name server: add a line DNS = ADDRESS"}},
	} {
		status, _, stderr := run(c.args...)
		for _, want := range c.want {
			if status != c.status || !strings.Contains(stderr, want) {
				t.Errorf("%q: exit status %d\n%s\nwant %d with %s", c.args, status, stderr, c.status, want)
			}
		}
	}
}

// Where a socket cannot be for its owner only, the proxy runs without a control socket and
// says so. Sockets that were asked for are an error.
func TestProxyWithoutUnixSockets(t *testing.T) {
	dir := t.TempDir()
	defer func(before func() string) { proxyStateDir, unixsocket.Unsupported = before, nil }(proxyStateDir)
	proxyStateDir = func() string { return dir }
	unixsocket.Unsupported = fmt.Errorf("no sockets here: %w", errors.ErrUnsupported)
	file := filepath.Join(dir, "p.conf")
	text := "[Interface]\nPrivateKey = " + checkKey + "\nAddress = 10.2.0.2/32\n[Peer]\nPublicKey = " + checkPeer + "\nAllowedIPs = 0.0.0.0/0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const taken = "192.0.2.77:1" // an address of another host, so the proxy ends
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--http", taken}, []string{"there is no control socket", "no sockets here", "HTTP proxy on " + taken + ": "}},
		{[]string{"--http", taken, "--socket", filepath.Join(dir, "wg0.sock")}, []string{"control socket: no sockets here"}},
		{[]string{"--ready", "unix:" + filepath.Join(dir, "s")}, []string{"no sockets here"}},
	} {
		status, _, stderr := run(append([]string{"proxy", file}, c.args...)...)
		for _, want := range c.want {
			if status != 1 || !strings.Contains(stderr, want) {
				t.Errorf("%v: status %d, %q; want %q", c.args, status, stderr, want)
			}
		}
	}
}
