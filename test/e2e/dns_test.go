package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// dnsHost is a host with the files of two tunnels, wg0 and wg1, and with the name server
// of a LAN in /etc/resolv.conf.
func dnsHost(t *testing.T) *lab.Host {
	h := lab.NewHost(t, "a")
	dnsFile(h, "wg0", "10.2.0.1, corp.example")
	dnsFile(h, "wg1", "10.3.0.1")
	h.Must("rm -f /etc/resolv.conf && echo nameserver 192.0.2.53 > /etc/resolv.conf")
	return h
}

// dnsFile writes the file of a tunnel with name servers.
func dnsFile(h *lab.Host, name, dns string) {
	private, _ := keyPair(h)
	h.Write("/etc/wireguard/"+name+".conf", "[Interface]\nPrivateKey = "+private+"\nDNS = "+dns+"\n")
}

// noWarning runs a command that must succeed without a warning, and returns its output.
func noWarning(t *testing.T, h *lab.Host, line string) string {
	t.Helper()
	r := h.Run(line)
	if r.Code != 0 || r.Err != "" {
		t.Errorf("%s: exit status %d: %s", line, r.Code, r.Err)
	}
	return r.Out
}

// asked fails the test if /etc/resolv.conf has not these name servers and domains.
func asked(t *testing.T, h *lab.Host, when, want string) {
	t.Helper()
	got := strings.Fields(h.Must("sed -n 's/^nameserver //p' /etc/resolv.conf; sed -n 's/^search //p' /etc/resolv.conf"))
	if strings.Join(got, " ") != want {
		t.Errorf("%s: /etc/resolv.conf has %v, want %s", when, got, want)
	}
}

// resolvConf is what /etc/resolv.conf is, and what is beside it.
func resolvConf(h *lab.Host) string {
	return h.Must("cd /etc; ls resolv.conf*; stat -c '%%A %%U %%i %%N' resolv.conf; stat -L -c '%%s %%Y %%i' resolv.conf; cat resolv.conf; true")
}

// comeAndGo brings up two tunnels, changes one, kills its daemon, and takes them down
// again, each time in another order. The file has the name servers of the one that came
// last.
func comeAndGo(t *testing.T, h *lab.Host) {
	t.Helper()
	noWarning(t, h, "wgd up wg0")
	asked(t, h, "wg0 is up", "10.2.0.1 corp.example")
	noWarning(t, h, "wgd up wg1")
	asked(t, h, "wg1 is up", "10.3.0.1")
	noWarning(t, h, "wgd down wg0")
	asked(t, h, "wg0 is down", "10.3.0.1")
	noWarning(t, h, "wgd up wg0")
	h.Must("sed -i.bak 's/10.2.0.1, corp.example/10.2.0.9/' /etc/wireguard/wg0.conf")
	contains(t, noWarning(t, h, "wgd reload wg0"), "[10.2.0.9]")
	asked(t, h, "wg0 is reloaded", "10.2.0.9")
	h.Must("mv /etc/wireguard/wg0.conf.bak /etc/wireguard/wg0.conf")
	for _, pid := range h.PIDs("wgd") {
		h.Must("kill -9 %d", pid)
	}
	lab.Until(t, 30*time.Second, "the killed daemons are gone", func() (bool, string) { return len(h.PIDs("wgd")) == 0, "" })
	noWarning(t, h, "wgd up wg0 && wgd down wg0")
	asked(t, h, "wg0 is up and down after a crash", "10.3.0.1")
	noWarning(t, h, "wgd down wg1")
}

// Without a resolver in charge, /etc/resolv.conf has the name servers of the tunnel that
// came last, whatever it is: a file, a symbolic link, nothing, or a mount of its own as in
// a container. After down it is what it was, also after crashes.
func TestDNSInFile(t *testing.T) {
	t.Parallel()
	h := dnsHost(t)
	h.Must("test -z \"$(command -v resolvconf)\"")
	for _, c := range []struct{ what, make, end string }{
		{"a file", "true", "true"},
		{"a link", "echo nameserver 192.0.2.53 > /run/other && ln -sf ../run/other /etc/resolv.conf", "true"},
		{"nothing", "rm /etc/resolv.conf", "true"},
		{"a mount", "touch /etc/resolv.conf; echo nameserver 192.0.2.53 > /run/mounted && mount --bind /run/mounted /etc/resolv.conf", "umount /etc/resolv.conf"},
	} {
		h.Must("%s", c.make)
		before := ""
		if c.what != "nothing" {
			before = resolvConf(h)
		}
		comeAndGo(t, h)
		switch {
		case c.what == "nothing":
			h.Must("test -z \"$(ls -d /etc/resolv.conf*)\"")
		case c.what == "a mount": // is written to
			asked(t, h, "in the end", "192.0.2.53")
		default:
			lab.Unchanged(t, c.what, before, resolvConf(h))
		}
		if left := h.Must("ls /run/wgd/dns"); left != "lock\n" {
			t.Errorf("%s: /run/wgd/dns has %s", c.what, left)
		}
		h.Must("%s", c.end)
	}
}

// What another program puts in the place of the file stays, and down says so. What a
// computer had when it was switched off is restored by the next up, also of a tunnel
// without DNS.
func TestDNSInFileOfOthers(t *testing.T) {
	t.Parallel()
	h := dnsHost(t)
	noWarning(t, h, "wgd up wg0")
	h.Must("echo nameserver 192.0.2.7 > /etc/resolv.conf.new && mv /etc/resolv.conf.new /etc/resolv.conf")
	before := resolvConf(h)
	before = strings.Replace(before, "resolv.conf.wgd\n", "", 1)
	if r := h.Run("wgd down wg0"); r.Code != 0 || !strings.Contains(r.Err, "another program has replaced it") {
		t.Errorf("exit status %d: %s", r.Code, r.Err)
	}
	lab.Unchanged(t, "replaced by others", before, resolvConf(h))

	noWarning(t, h, "wgd up wg0")
	h.Must("kill -9 %d; rm -r /run/wgd /run/wireguard", h.Daemon(lab.Ours).PID)
	lab.Until(t, 30*time.Second, "the killed daemon is gone", func() (bool, string) { return len(h.PIDs("wgd")) == 0, "" })
	dnsFile(h, "wg1", "")
	noWarning(t, h, "wgd up wg1")
	lab.Unchanged(t, "switched off", before, resolvConf(h))
	noWarning(t, h, "wgd down wg1")
}

// unpacked makes programs of a Debian package that test/setup.sh unpacked a part of the
// host.
func unpacked(t *testing.T, h *lab.Host, name string) {
	t.Helper()
	dir := lab.Unpacked(name)
	if !h.Exists(dir) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no %s, which test/setup.sh makes", dir)
		}
		t.Skipf("LEFT OUT: name servers with %s, which test/setup.sh unpacks", name)
	}
	for _, part := range []string{"sbin", "lib"} {
		h.Must("mount -t overlay unpacked -o lowerdir=%s/%s:/usr/%s /usr/%s", dir, part, part, part)
	}
	h.Must("cp -a %s/etc/resolv* /etc", dir)
}

// openresolv is in charge, and has its own order of the tunnels.
func TestDNSWithOpenresolv(t *testing.T) {
	t.Parallel()
	h := dnsHost(t)
	unpacked(t, h, "openresolv")
	comeAndGo(t, h)
	asked(t, h, "in the end", "192.0.2.53")
	h.Must("rm /etc/resolv.conf*")
	noWarning(t, h, "wgd up wg0")
	contains(t, h.Must("cat /etc/resolv.conf"), "Generated by resolvconf")
	noWarning(t, h, "wgd down wg0")
	h.Must("test -z \"$(ls -d /etc/resolv.conf*)\"")
}

// Debian's resolvconf is in charge if /etc/resolv.conf leads to its file and its updates
// are enabled. If not, it takes name servers without effect; then the file is replaced.
func TestDNSWithDebiansResolvconf(t *testing.T) {
	t.Parallel()
	h := dnsHost(t)
	unpacked(t, h, "resolvconf")
	before := resolvConf(h)
	comeAndGo(t, h)
	lab.Unchanged(t, "not in charge", before, resolvConf(h))
	if left := h.Must("ls /run/resolvconf/interface"); left != "" {
		t.Errorf("resolvconf was not made to forget %s", left)
	}

	h.Must("ln -sf ../run/resolvconf/resolv.conf /etc/resolv.conf && resolvconf --enable-updates && echo nameserver 192.0.2.53 | resolvconf -a eth0.inet")
	asked(t, h, "in charge", "192.0.2.53")
	text := h.Must("cat /etc/resolv.conf")
	noWarning(t, h, "wgd up wg0")
	asked(t, h, "wg0 is up", "10.2.0.1 192.0.2.53 corp.example")
	noWarning(t, h, "wgd down wg0")
	lab.Unchanged(t, "in charge", text, h.Must("cat /etc/resolv.conf"))
}

// In a network namespace beside that of the host, wgd up leaves the name servers of the host
// and of the namespace as they are, and says why. Those of a tunnel of the host come and go
// as usual meanwhile.
func TestDNSInNamespace(t *testing.T) {
	t.Parallel()
	h := dnsHost(t)
	h.Must("ip netns add x")
	before := resolvConf(h)
	for _, file := range []string{"true", "mkdir -p /etc/netns/x && echo nameserver 192.0.2.7 >/etc/netns/x/resolv.conf"} {
		h.Must("%s", file)
		own := h.Must("ip netns exec x cat /etc/resolv.conf")
		noWarning(t, h, "wgd up wg1")
		if r := h.Run("ip netns exec x wgd up wg0"); r.Code != 0 || !strings.Contains(r.Err, "DNS is not set") || !strings.Contains(r.Err, "/etc/netns/NAME/resolv.conf") {
			t.Errorf("exit status %d: %s", r.Code, r.Err)
		}
		asked(t, h, "up in a namespace", "10.3.0.1")
		noWarning(t, h, "wgd down wg1")
		noWarning(t, h, "ip netns exec x wgd down wg0")
		lab.Unchanged(t, "down", before, resolvConf(h))
		if got := h.Must("ip netns exec x cat /etc/resolv.conf"); got != own {
			t.Errorf("after down, the file of the namespace is %q, want %q", got, own)
		}
	}
}
